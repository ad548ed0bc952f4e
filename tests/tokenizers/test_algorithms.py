"""The table of trainers: how each reads text, and which options it refuses."""

import json
from typing import Any

import pytest

from llmcore.errors import ConfigError
from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.algorithms import EXTENDERS, TRAINERS, Reading

TEXTS = ["the cat sat on the mat", "the dog's bowl isn't here", "naïve 日本語"] * 20


def test_every_algorithm_has_options_with_a_vocabulary_size() -> None:
    for trainer in TRAINERS.values():
        assert trainer.options(vocab_size=400) is not None
    for extender in EXTENDERS.values():
        assert extender.options(vocab_size=400).vocab_size == 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "unigram", "pattern": "gpt2"}, "must go without another split"),
        ({"algorithm": "unigram", "min_frequency": 2}, "got 'min_frequency'"),
        ({"algorithm": "unigram", "normalizer": {"type": "NFC"}}, "must be a name of"),
        ({"algorithm": "unigram", "normalizer": "nfkx"}, "normalizer must be 'nmt_nfkc'"),
        ({"algorithm": "wordpiece", "score": "x"}, "score must be one of"),
        ({"algorithm": "wordpiece", "byte_level": True}, "got 'byte_level'"),
        ({"sentencepiece": True, "normalizer": "NFC"}, "must be of type SentencePiece"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tokenizer.train(TEXTS, vocab_size=300, **options)


def components(algorithm: str, reading: Reading, **options: Any) -> tuple[Any, Any]:
    trainer = TRAINERS[algorithm]
    parts = trainer.components(trainer.options(vocab_size=300, **options), reading)
    normalizer, pre_tokenizer = (json.loads(part) for part in parts)
    return normalizer, pre_tokenizer


def test_texts_are_read_as_each_algorithm_has_it() -> None:
    assert components("bpe", Reading())[1]["type"] == "ByteLevel"
    normalizer, splits = components("wordpiece", Reading())
    assert (normalizer["type"], splits["type"]) == ("BertNormalizer", "BertPreTokenizer")
    normalizer, splits = components("unigram", Reading())
    assert normalizer["type"] == "SentencePiece" and splits["behavior"] == "MergedWithNext"


def test_whole_sentences_where_words_do_not_stand_alone() -> None:
    for option in ("treat_whitespace_as_suffix", "allow_whitespace_only_pieces"):
        assert components("unigram", Reading(), **{option: True})[1] is None
    assert components("unigram", Reading(), split_by_whitespace=False)[1] is None


def test_what_the_caller_asks_for_comes_first() -> None:
    reading = Reading(normalizer="NFC", pre_tokenizer="Whitespace")
    assert components("wordpiece", reading) == ({"type": "NFC"}, {"type": "Whitespace"})
    plain = components("unigram", Reading(normalizer="identity"), add_dummy_prefix=False)[0]
    assert plain["precompiled_charsmap"] == "" and plain["add_dummy_prefix"] is False
