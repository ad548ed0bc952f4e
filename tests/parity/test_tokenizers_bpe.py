"""Byte-level BPE against Hugging Face `tokenizers`: training, ids, offsets, files, fixtures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore.data.python_corpus import python_documents
from llmcore.tokenizers import Tokenizer

pytestmark = pytest.mark.parity

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NUM_THREADS = 2


def python_texts() -> list[str]:
    """The quickstart's corpus."""
    return [document.text for document in python_documents()]


def train_theirs(texts: list[str], vocab_size: int, min_frequency: int = 0) -> hf.Tokenizer:
    theirs = hf.Tokenizer(hf.models.BPE())
    theirs.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    theirs.decoder = hf.decoders.ByteLevel()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=SPECIALS,
        initial_alphabet=hf.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def model_of(tokenizer: hf.Tokenizer) -> tuple[dict[str, int], list[list[str]]]:
    model = json.loads(tokenizer.to_str())["model"]
    merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    return model["vocab"], merges


def our_model(ours: Tokenizer, folder: Path) -> tuple[dict[str, int], list[list[str]]]:
    return model_of(hf.Tokenizer.from_file(str(ours.save(folder))))


def assert_same_training(ours: Tokenizer, theirs: hf.Tokenizer, folder: Path) -> None:
    vocab, merges = our_model(ours, folder)
    their_vocab, their_merges = model_of(theirs)
    assert merges == their_merges
    assert vocab == their_vocab


def assert_same_ids(ours: Tokenizer, theirs: hf.Tokenizer, texts: list[str]) -> None:
    ids, offsets = ours.encode_batch(texts, num_threads=NUM_THREADS)
    want = [np.array(e.ids, np.uint32) for e in theirs.encode_batch_fast(texts)]
    assert np.diff(offsets).tolist() == [len(w) for w in want]
    assert np.array_equal(ids, np.concatenate(want))


@pytest.mark.parametrize("vocab_size", [4096, 32768])
def test_training_and_ids_on_python_text(vocab_size: int, tmp_path: Path) -> None:
    """Equal merges, and equal ids on all of the quickstart's eight megabytes."""
    texts = python_texts()
    assert sum(len(text.encode()) for text in texts) > 4_000_000
    ours = Tokenizer.train(
        texts, vocab_size=vocab_size, special_tokens=SPECIALS, num_threads=NUM_THREADS
    )
    theirs = train_theirs(texts, vocab_size)
    assert ours.vocab_size == vocab_size
    assert_same_training(ours, theirs, tmp_path)
    # No text of the corpus may hold a special token: theirs would always recognise it.
    plain = [t for t in texts if not any(s in t for s in SPECIALS)]
    assert len(plain) > 0.9 * len(texts)
    assert_same_ids(ours, theirs, plain)


@pytest.mark.parametrize("name", ["wagahaiwa_nekodearu.txt", "botchan.txt"])
def test_training_on_other_languages(name: str, fixtures_dir: Path, tmp_path: Path) -> None:
    texts = (fixtures_dir / "corpora" / name).read_text("utf-8").splitlines(keepends=True)[:3000]
    ours = Tokenizer.train(texts, vocab_size=6000, special_tokens=SPECIALS)
    theirs = train_theirs(texts, 6000)
    assert_same_training(ours, theirs, tmp_path)
    assert_same_ids(ours, theirs, texts)


@pytest.mark.parametrize("min_frequency", [0, 1, 2, 3])
def test_training_until_no_pair_is_left(min_frequency: int, tmp_path: Path) -> None:
    texts = ["aaaa aaa aabaab abab", "bbbb abba " * 3, "aaaaaaaaaaaaaaaaaaaa", "the théâtre"]
    ours = Tokenizer.train(
        texts, vocab_size=2000, special_tokens=SPECIALS, min_frequency=min_frequency
    )
    assert ours.vocab_size < 2000
    assert_same_training(ours, train_theirs(texts, 2000, min_frequency), tmp_path)


@given(texts=st.lists(st.text("ab ", min_size=1, max_size=40), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_training_on_two_letters(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two letters make long runs and tokens that two merges reach."""
    ours = Tokenizer.train(texts, vocab_size=300, special_tokens=SPECIALS, num_threads=1)
    folder = tmp_path_factory.mktemp("two-letters")
    assert_same_training(ours, train_theirs(texts, 300), folder)


@pytest.fixture(scope="module")
def gpt2(fixtures_dir: Path) -> tuple[Tokenizer, hf.Tokenizer]:
    path = fixtures_dir / "tokenizers" / "models" / "tokenizers.gpt2.json"
    return Tokenizer.load(path), hf.Tokenizer.from_file(str(path))


def fixture_cases(folder: Path, name: str) -> Iterator[str]:
    text = (folder / "inputs" / f"{name}.txt").read_text("utf-8")
    if name == "utf8":
        yield text
        return
    for line in text.split("\n"):
        if line:
            yield line.replace(r"\n", "\n").replace(r"\s", " ").replace(r"\x", "")


@pytest.mark.parametrize("name", ["small", "mixed", "utf8"])
def test_gpt2_fixtures(name: str, gpt2: tuple[Tokenizer, Any], fixtures_dir: Path) -> None:
    folder = fixtures_dir / "tokenizers"
    expected = (folder / "expected" / f"tokenizers.gpt2.{name}.tokens.txt").read_text().split("\n")
    want = [[int(i) for i in line.split(",")] for line in expected if line]
    cases = list(fixture_cases(folder, name))
    assert len(cases) == len(want) > 0
    for case, ids in zip(cases, want, strict=True):
        assert gpt2[0].encode(case, allowed_special="all") == ids, case
        assert gpt2[0].decode(ids) == case


CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(list(" \t\n\r\u0085\u00a0\u3000'’stmdrelv01aAß日😀\u0301\u200d")),
    st.sampled_from(["'s", "'ll", " 're", "  ", "\n\n", "<|endoftext|>", "don't", "x" * 70]),
)


@given(parts=st.lists(CHARACTERS, max_size=60))
@settings(max_examples=1500, deadline=None)
def test_fuzz_ids_offsets_and_decode(gpt2: tuple[Tokenizer, Any], parts: list[str]) -> None:
    text = "".join(parts)
    ours, theirs = gpt2
    want = theirs.encode(text)
    ids, spans = ours.encode_with_offsets(text, allowed_special="all")
    assert ids == want.ids
    assert spans == want.offsets
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


@given(ids=st.lists(st.integers(0, 50256), max_size=30))
@settings(max_examples=500, deadline=None)
def test_fuzz_decode(gpt2: tuple[Tokenizer, Any], ids: list[int]) -> None:
    ours, theirs = gpt2
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids)


def test_files_go_both_ways(gpt2: tuple[Tokenizer, Any], tmp_path: Path) -> None:
    ours, theirs = gpt2
    text = "It's 日本語 and\n\n  naïve  code: x += 1<|endoftext|>"
    again = hf.Tokenizer.from_file(str(ours.save(tmp_path / "ours.json")))
    assert again.encode(text).ids == theirs.encode(text).ids
    theirs.save(str(tmp_path / "theirs.json"))
    reloaded = Tokenizer.load(tmp_path / "theirs.json")
    assert reloaded.encode(text, allowed_special="all") == theirs.encode(text).ids
    assert model_of(again) == model_of(theirs)


@given(text=st.text(st.sampled_from("<a>b |"), max_size=40))
@settings(max_examples=500, deadline=None)
def test_added_tokens_are_found_as_theirs(two_kinds: Any, text: str) -> None:
    ours, theirs = two_kinds
    assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, hf.Tokenizer]:
    """Overlapping added tokens, special and not, normalised and not."""
    theirs = train_theirs(["<a>b |" * 20], 270)
    theirs.add_special_tokens(["<a>", "<a><b>", "|"])
    theirs.add_tokens(["a>b", hf.AddedToken("<a", normalized=False), "b |"])
    path = tmp_path_factory.mktemp("added") / "theirs.json"
    theirs.save(str(path))
    return Tokenizer.load(path), theirs
