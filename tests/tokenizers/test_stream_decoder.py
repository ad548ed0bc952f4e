"""Streaming: whole characters only, nothing lost."""

import random
from pathlib import Path

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers import Tokenizer

MODELS = [
    "sentencepiece.llama2.model",
    "sentencepiece.nai-t5.model",
    "tiktoken.cl100k_base.tiktoken",
    "tokenizers.bert_base_cased.json",
    "tokenizers.mistral03.json",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["日本語 naïve 😀 text " * 20], vocab_size=280)


def test_ten_thousand_random_sequences_equal_decode(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    decoder = tokenizer.stream_decoder()
    for _ in range(10_000):
        ids = rng.choices(range(tokenizer.vocab_size), k=rng.randrange(12))
        streamed = "".join([*(decoder.push(i) for i in ids), decoder.finish()])
        assert streamed == tokenizer.decode(ids)


@pytest.mark.parametrize("model", MODELS)
def test_ten_thousand_random_sequences_of_real_vocabularies(fixtures_dir: Path, model: str) -> None:
    real = Tokenizer.load(fixtures_dir / "tokenizers" / "models" / model)
    rng = random.Random(1)
    # Parts of characters, and pieces whose text depends on where they stand.
    odd = [i for i in range(real.vocab_size) if len(real.id_to_bytes(i)) < 2][:700]
    decoder = real.stream_decoder()
    for round in range(10_000):
        ids = rng.choices(odd if round % 2 else range(real.vocab_size), k=rng.randrange(12))
        pushed = [*(decoder.push(i) for i in ids), decoder.finish()]
        text = real.decode(ids)
        assert "".join(pushed) == text
        if round % 10 > 1:
            continue
        # Whole characters only: what is sent is final.
        sent = 0
        for end, part in enumerate(pushed[:-1], start=1):
            sent += len(part)
            assert text[:sent].endswith(part) and len(real.decode(ids[:end])) >= sent


def test_a_character_comes_out_with_its_last_byte(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.stream_decoder()
    ids = [i for b in "é😀".encode() for i in tokenizer.encode(bytes([b]))]
    assert len(ids) == 6
    assert [decoder.push(i) for i in ids] == ["", "é", "", "", "", "😀"]
    assert decoder.finish() == ""


def test_an_unfinished_character_is_replaced_at_the_end(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.stream_decoder()
    (first, *_) = tokenizer.encode("😀".encode()[:1])
    assert decoder.push(first) == ""
    assert decoder.finish() == "\ufffd"
    assert decoder.finish() == ""


def test_unknown_id(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="ids must be in"):
        tokenizer.stream_decoder().push(280)
