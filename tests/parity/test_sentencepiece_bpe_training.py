"""BPE training in SentencePiece's way against `sentencepiece`: pieces, scores and ids.

Where no pair is left, ours stops; theirs goes on with pairs that the text no longer holds.
"""

import io
from pathlib import Path
from typing import Any

import pytest
import sentencepiece as spm
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore.data.python_corpus import python_documents
from llmcore.tokenizers import Tokenizer

pytestmark = pytest.mark.parity

# Their defaults for character_coverage and the length of a line are others.
OPTIONS: list[dict[str, Any]] = [
    {},
    {"character_coverage": 0.9995},
    {"byte_fallback": True, "split_digits": True},
    {"split_by_unicode_script": False, "split_by_number": False},
    {"max_sentencepiece_length": 4},
]


def train_theirs(texts: list[str], vocab_size: int, **options: Any) -> spm.SentencePieceProcessor:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="bpe",
        normalization_rule_name="identity",
        max_sentence_length=1_000_000,
        minloglevel=2,
        **({"character_coverage": 1.0} | options),
    )
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def train_ours(texts: list[str], vocab_size: int, **options: Any) -> Tokenizer:
    if "max_sentencepiece_length" in options:
        options = {"max_token_length": options["max_sentencepiece_length"]}
    return Tokenizer.train(texts, vocab_size=vocab_size, sentencepiece=True, **options)


def assert_same(ours: Tokenizer, theirs: spm.SentencePieceProcessor, texts: list[str]) -> None:
    spec = ours._pipeline.spec.to_dict()
    ids = range(theirs.get_piece_size())
    assert spec["tokens"] == [theirs.id_to_piece(i) for i in ids]
    assert spec["scores"] == [theirs.get_score(i) for i in ids]
    assert [ours.encode(text) for text in texts] == theirs.encode(texts)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["english", "japanese", "code"])
def test_three_corpora(name: str, options: dict[str, Any], fixtures_dir: Path) -> None:
    if name == "code":
        texts = "".join(document.text for document in python_documents())[:300_000].split("\n")
    else:
        file = {"english": "botchan.txt", "japanese": "wagahaiwa_nekodearu.txt"}[name]
        texts = (fixtures_dir / "corpora" / file).read_text("utf-8")[:150_000].split("\n")
    texts = [text for text in texts if text.strip()]
    size = 3500 if name == "japanese" else 2200
    theirs = train_theirs(texts, size, **options)
    assert_same(train_ours(texts, size, **options), theirs, texts)


@given(
    texts=st.lists(st.text("aab1 \t-日かー.", min_size=1, max_size=30), min_size=1, max_size=6),
    extra=st.integers(0, 20),
)
@settings(max_examples=150, deadline=None)
def test_short_texts(texts: list[str], extra: int) -> None:
    texts = [text for text in texts if text.strip(" \t")]
    if not texts:
        return
    # They refuse a vocabulary larger than the text gives: the same number decides.
    alphabet = len(set("".join(texts).replace(" ", "")) | {"▁"})
    size = 3 + alphabet + extra
    ours = train_ours(texts, size)
    assert_same(ours, train_theirs(texts, ours.vocab_size), texts)


def test_our_model_file_is_theirs_too(tmp_path: Path) -> None:
    texts = ["some words, and some more words again 日本語"] * 5
    ours = train_ours(texts, 320, byte_fallback=True)
    path = ours.save(tmp_path / "ours.model", "sentencepiece")
    theirs = spm.SentencePieceProcessor(model_file=str(path))
    for text in (*texts, "unseen ñ 😀"):
        assert theirs.encode(text) == ours.encode(text)
        assert theirs.decode(theirs.encode(text)) == ours.decode(ours.encode(text)) == text
