"""The ids of a text in blocks are those of the whole."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers import text_blocks as module
from llmcore.tokenizers.text_blocks import encode_blocks
from tests.support.tokenizer_files import SAMPLES, read

ALPHABET = [
    "a",
    "bc",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "12",
    "é",
    "日本",
    "😀",
    "'s",
    "!",
    "<|im_end|>",
    "\u00a0",
]


def blocks_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def check(tokenizer: Tokenizer, data: bytes, size: int, allowed: Any = "none") -> int:
    """Number of pieces that came."""
    got = list(encode_blocks(tokenizer, blocks_of(data, size), allowed_special=allowed))
    assert sum(num_bytes for _, num_bytes in got) == len(data)
    ids = np.concatenate([ids for ids, _ in got]) if got else np.zeros(0, np.uint32)
    assert ids.tolist() == tokenizer.encode(data, allowed_special=allowed)
    return len(got)


def random_text(seed: int, count: int) -> bytes:
    dice = random.Random(seed)
    return "".join(dice.choice(ALPHABET) for _ in range(count)).encode()


@pytest.mark.parametrize("allowed", ["none", "all", frozenset({"<|im_end|>"})], ids=str)
def test_byte_level_is_cut(tokenizer_dir: Path, allowed: Any) -> None:
    tokenizer = Tokenizer.load(tokenizer_dir)
    for seed, size in enumerate((1, 3, 17, 64, 1000)):
        data = random_text(seed, 300)
        assert check(tokenizer, data, size, allowed) > (1 if size < len(data) else 0)
    assert check(tokenizer, b"", 5) == 0


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_base", "o200k_base", "llama3", "qwen2"])
def test_every_known_pattern(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TAIL_BYTES", (16, 1000))
    tokenizer = Tokenizer(read(SAMPLES["tiktoken"], pattern=pattern))
    pieces = 0
    for seed in range(20):
        data = random_text(seed, 200)
        broken = bytes(b ^ (0x80 if random.Random(b).random() < 0.1 else 0) for b in data)
        pieces += check(tokenizer, data, 50) + check(tokenizer, broken, 50)
    assert pieces > 100


@pytest.mark.parametrize("sample", ["json-wordpiece", "piece-unigram", "piece-bpe", "json-unigram"])
def test_others_are_joined_first(sample: str) -> None:
    assert check(Tokenizer(read(SAMPLES[sample])), b"ab a un  able \n ab" * 9, 7) == 1


def test_text_without_a_place_to_cut(tokenizer_dir: Path) -> None:
    assert check(Tokenizer.load(tokenizer_dir), b"a" * 5000, 100) == 1
