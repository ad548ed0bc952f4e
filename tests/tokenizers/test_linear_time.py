"""Work grows in proportion to the text on the inputs that made other tokenizers quadratic.

The work is counted (merge candidates looked at), so that the tests do not depend on the machine.
"""

import random

import pytest

from llmcore.tokenizers import Tokenizer

N = 20_000
LETTERS = random.Random(0)


def random_letters(n: int) -> str:
    return "".join(LETTERS.choices("abcdefghij", k=n))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    source = ["a" * 4096, " " * 4096, "^" * 512, "日本" * 500, random_letters(50_000)]
    return Tokenizer.train(source, vocab_size=600)


@pytest.mark.parametrize("unit", ["a", " ", "^", "\n", "ab", "日", "日本", "😀", "1", "\x00", "'"])
def test_steps_double_with_the_text(tokenizer: Tokenizer, unit: str) -> None:
    once = tokenizer._pipeline.count_steps(unit * N)
    twice = tokenizer._pipeline.count_steps(unit * (2 * N))
    assert once >= N / 2
    assert twice <= 2.2 * once
    assert once <= 8 * len((unit * N).encode())


def test_unbroken_random_letters(tokenizer: Tokenizer) -> None:
    once = tokenizer._pipeline.count_steps(random_letters(N))
    twice = tokenizer._pipeline.count_steps(random_letters(2 * N))
    assert twice <= 2.2 * once


def test_short_pieces_do_bounded_work_per_byte(tokenizer: Tokenizer) -> None:
    text = " ".join(random_letters(64) for _ in range(200))
    assert tokenizer._pipeline.count_steps(text) <= 64 * len(text)


@pytest.mark.parametrize("unit", ["a", " ", "x^", "日"])
def test_a_million_characters_come_back(tokenizer: Tokenizer, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert tokenizer.decode(tokenizer.encode_array(text)) == text
