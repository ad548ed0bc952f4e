"""Rows that are one character over and over, which BPE merges in phases, against the references."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcore.tokenizers import Tokenizer
from tests.support.tokenizer_files import BPE_TYPE, NORMAL, PIECES, piece_file, proto

pytestmark = pytest.mark.parity

CHARS = [chr(c) for c in range(32, 127)] + ["\n", "\t", "é", "あ", "語", "한", "😀", "\u0308"]


def runs(seed: int, count: int = 150) -> list[str]:
    """A long run with up to five other characters, or the same again, at either end."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        char = rng.choice(CHARS)
        length = rng.choice([rng.randrange(120, 300), rng.randrange(120, 3000)])
        ends = [char, rng.choice(CHARS), rng.choice(CHARS)]
        front, back = (rng.choices(ends, k=rng.randrange(6)) for _ in range(2))
        texts.append("".join(front) + char * length + "".join(back))
    return texts


def check(ours: Tokenizer, theirs: Callable[[str], list[int]], seed: int) -> None:
    for text in runs(seed):
        assert ours.encode(text, allowed_special="all") == theirs(text), (text[:8], text[-8:])


@pytest.mark.parametrize("name", ["tokenizers.gpt2", "tokenizers.mistral03"])
def test_merge_lists(fixtures_dir: Path, name: str) -> None:
    hf = pytest.importorskip("tokenizers")
    path = fixtures_dir / "tokenizers" / "models" / f"{name}.json"
    theirs = hf.Tokenizer.from_file(str(path))
    check(Tokenizer.load(path), lambda t: theirs.encode(t, add_special_tokens=False).ids, 1)


def test_ranks(fixtures_dir: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    load = pytest.importorskip("tiktoken.load").load_tiktoken_bpe
    path = fixtures_dir / "tokenizers" / "models" / "tiktoken.cl100k_base.tiktoken"
    theirs = tiktoken.Encoding(
        "ranks", pat_str=r"[\s\S]+", mergeable_ranks=load(str(path)), special_tokens={}
    )
    ours = Tokenizer.load(path, pattern=r"[\s\S]+", special_tokens={})
    check(ours, theirs.encode_ordinary, 2)


def test_scores(fixtures_dir: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    path = fixtures_dir / "tokenizers" / "models" / "sentencepiece.llama2.model"
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    check(Tokenizer.load(path), theirs.encode, 3)


@pytest.mark.parametrize("seed", range(40))
def test_tokens_of_one_character(seed: int, tmp_path: Path) -> None:
    """Any lengths, most of them equally good, as Llama 2's spaces are."""
    sentencepiece = pytest.importorskip("sentencepiece")
    rng = random.Random(seed)
    levels = rng.choice([[-1.0], [-1.0], [-1.0, -2.0]])
    lengths = [1, 2, *sorted(rng.sample(range(3, 20), rng.randrange(2, 12)))]
    texts = [char * length for char in "a\u2581" for length in lengths]
    scores = [(text, rng.choice(levels), NORMAL) for text in texts]
    model = piece_file(BPE_TYPE, [*PIECES[:3], *scores], normalizer=proto(3, 0) + proto(4, 0))
    path = tmp_path / "runs.model"
    path.write_bytes(model)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    ours = Tokenizer.load(path)
    for _ in range(30):
        char, other = rng.sample("a b", 2)
        text = char * rng.randrange(100, 900) + other * rng.choice([0, 0, 1, 300])
        assert ours.encode(text) == theirs.encode(text), (seed, text[:4], len(text))
