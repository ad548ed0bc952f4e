"""BPE training against Hugging Face `tokenizers`: merges and ids on three corpora.

Not compared: which of several characters of equal count `limit_alphabet` drops, and the order of
ids of prefixed and suffixed characters, which depend on the run there.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore.data.python_corpus import python_documents
from llmcore.tokenizers import Tokenizer, WordCounts

pytestmark = pytest.mark.parity

CORPORA = ["english", "japanese", "code"]
SPECIALS = ["<s>", "a"]  # one of them is a character of the text
SPLITS: dict[str, tuple[Any, Any]] = {
    "Metaspace": (
        hf.pre_tokenizers.Metaspace(),
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    ),
    "Whitespace": (hf.pre_tokenizers.Whitespace(), "Whitespace"),
    "WhitespaceSplit": (hf.pre_tokenizers.WhitespaceSplit(), "WhitespaceSplit"),
    "BertPreTokenizer": (hf.pre_tokenizers.BertPreTokenizer(), "BertPreTokenizer"),
}


@pytest.fixture(scope="module")
def corpora(fixtures_dir: Path) -> dict[str, list[str]]:
    folder = fixtures_dir / "corpora"
    japanese = (folder / "wagahaiwa_nekodearu.txt").read_text("utf-8").splitlines(keepends=True)
    return {
        "english": (folder / "botchan.txt").read_text("utf-8").splitlines(keepends=True),
        "japanese": japanese[:1200],
        "code": [document.text for document in python_documents()][:60],
    }


def model_of(tokenizer: hf.Tokenizer) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    return model["vocab"], merges


def our_model(ours: Tokenizer) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    spec = ours._pipeline.spec.to_dict()
    tokens = spec["tokens"]
    return {t: i for i, t in enumerate(tokens)}, [(tokens[a], tokens[b]) for a, b in spec["merges"]]


def train_theirs(
    texts: list[str], split: Any, vocab_size: int, normalizer: str | None = None, **options: Any
) -> hf.Tokenizer:
    theirs = hf.Tokenizer(hf.models.BPE())
    theirs.pre_tokenizer = split
    if normalizer is not None:
        theirs.normalizer = getattr(hf.normalizers, normalizer)()
    trainer = hf.trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, **options)
    theirs.train_from_iterator(texts, trainer)
    return theirs


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("pattern", ["gpt2", "llama3"])
def test_byte_level(corpus: str, pattern: str, corpora: dict[str, list[str]]) -> None:
    texts = corpora[corpus]
    ours = Tokenizer.train(texts, vocab_size=5000, special_tokens=SPECIALS, pattern=pattern)
    split = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if pattern == "llama3":
        regex = json.loads(ours._pipeline.spec.pre_tokenizer)["pretokenizers"][0]["pattern"]
        split = hf.pre_tokenizers.Sequence(
            [
                hf.pre_tokenizers.Split(hf.Regex(regex["Regex"]), "isolated"),
                hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
    theirs = train_theirs(texts, split, 5000, special_tokens=SPECIALS, initial_alphabet=alphabet)
    assert our_model(ours) == model_of(theirs)
    counts = WordCounts(pattern=pattern, num_threads=1).count(texts[::2])
    counts.merge(WordCounts(pattern=pattern, num_threads=2).count(texts[1::2]))
    sharded = Tokenizer.train(counts, vocab_size=5000, special_tokens=SPECIALS)
    assert our_model(sharded) == our_model(ours)


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize(
    ("split", "options"),
    [
        ("Metaspace", {}),
        ("Whitespace", {"normalizer": "NFKC"}),
        ("WhitespaceSplit", {"normalizer": "Lowercase", "min_frequency": 4}),
        ("BertPreTokenizer", {"max_token_length": 5}),
        ("Metaspace", {"initial_alphabet": ["@", "é", "日"], "max_token_length": 2}),
    ],
    ids=str,
)
def test_characters(
    corpus: str, split: str, options: dict[str, Any], corpora: dict[str, list[str]]
) -> None:
    texts = corpora[corpus]
    theirs = train_theirs(texts, SPLITS[split][0], 5000, special_tokens=SPECIALS, **options)
    ours = Tokenizer.train(
        texts,
        vocab_size=5000,
        byte_level=False,
        special_tokens=SPECIALS,
        pre_tokenizer=SPLITS[split][1],
        **options,
    )
    assert our_model(ours) == model_of(theirs)


def test_a_limited_alphabet() -> None:
    texts = ["aaaa bbb cXc brown fox " * 3, "the the then"]
    options = {"limit_alphabet": 4, "special_tokens": SPECIALS}
    theirs = train_theirs(texts, hf.pre_tokenizers.Whitespace(), 60, **options)
    ours = Tokenizer.train(
        texts, vocab_size=60, byte_level=False, pre_tokenizer="Whitespace", **options
    )
    assert our_model(ours) == model_of(theirs)


@pytest.mark.parametrize(
    "options", [{"end_of_word_suffix": "</w>"}, {"continuing_subword_prefix": "##"}], ids=str
)
def test_prefixed_and_suffixed_characters(options: dict[str, str]) -> None:
    """No two pairs whose ids differ from run to run there have equal counts."""
    texts = ["ab " * 1000 + "cd " * 300 + "bc " * 90 + "abd " * 40 + "dd " * 7]
    theirs = train_theirs(texts, hf.pre_tokenizers.Whitespace(), 22, **options)
    ours = Tokenizer.train(
        texts, vocab_size=22, byte_level=False, pre_tokenizer="Whitespace", **options
    )
    (our_vocab, our_merges), (vocab, merges) = our_model(ours), model_of(theirs)
    assert our_merges == merges
    assert our_vocab.keys() == vocab.keys()


@given(texts=st.lists(st.text("abAé日 ", min_size=1, max_size=40), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_until_no_pair_is_left(texts: list[str]) -> None:
    if not "".join(texts).strip():
        return
    theirs = train_theirs(texts, hf.pre_tokenizers.WhitespaceSplit(), 400)
    ours = Tokenizer.train(
        texts, vocab_size=400, byte_level=False, pre_tokenizer="WhitespaceSplit", num_threads=1
    )
    assert our_model(ours) == model_of(theirs)
