"""Streaming: whole characters only, nothing lost."""

import random

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers import Tokenizer


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
