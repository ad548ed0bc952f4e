"""Encoding by memory of chunks gives the ids of the whole text, as the offsets' path has them."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.unigram_training import charsmap_of
from tests.support.tokenizer_files import (
    BPE_TYPE,
    BYTE_PIECES,
    NORMAL,
    PIECES,
    UNIGRAM_TYPE,
    USER_DEFINED,
    piece_file,
    proto,
)

MARK = "\u2581"
PARTS = (
    "a", "ab", "ba", "abc", "x", "7", "(", "#", "e\u0301", "\u00e9", "\u0301", "\u200b", "\u3000",
    "日", "本語", "一", "か", "\u3099", " ", " ", "  ", "\n", "\t", "\r\n", MARK, "aXb", "Ab",
    "abababababababab",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)


# Scores with near ties, so that rounding decides in long texts.
SCORES = {MARK: -2.0, "a": -1.0, "b": -1.25, "c": -2.0, "7": -3.0, "ab": -2.251, "ba": -2.2495}
SCORES |= {"abc": -4.0, MARK + "a": -2.9, MARK + "ab": -4.0, MARK + MARK: -3.5}


def unigram(**more: float) -> dict[str, Any]:
    vocab = {"<unk>": 0.0} | SCORES | more
    return {"model": {"type": "Unigram", "unk_id": 0, "vocab": list(vocab.items())}}


def piece_model(
    symbols: Sequence[str] = (),
    *,
    model_type: int = UNIGRAM_TYPE,
    more: Mapping[str, float] | None = None,
    rules: str = "identity",
    has_bytes: bool = False,
    prefix: bool = True,
    collapse: bool = True,
    suffix: bool = False,
) -> bytes:
    """A SentencePiece file."""
    scores = SCORES | dict(more or {})
    pieces = [*PIECES[:3], *((text, 0.0, USER_DEFINED) for text in symbols)]
    pieces += [(text, score, NORMAL) for text, score in scores.items() if text not in symbols]
    trainer = proto(24, int(suffix)) + (proto(35, 1) if has_bytes else b"")
    normalizer = proto(2, charsmap_of(rules)) + proto(3, int(prefix)) + proto(4, int(collapse))
    return piece_file(model_type, pieces + BYTE_PIECES * has_bytes, trainer, normalizer)


def bpe(**changes: Any) -> dict[str, Any]:
    tokens = ["<unk>", MARK, "a", "b", "c", "7", "ab", "abc", MARK + "a", MARK + "ab", MARK + MARK]
    tokens += [MARK + "aba", "aba"]  # no merge makes these: only a whole word may be one
    merges = ["a b", f"{MARK} a", "ab c", f"{MARK}a b", f"{MARK} {MARK}", f"{MARK} ab"]
    vocab = {token: i for i, token in enumerate(tokens)}
    model = {
        "type": "BPE",
        "vocab": vocab,
        "merges": merges,
        "unk_token": "<unk>",
        "fuse_unk": True,
    }
    return {"model": model | changes}


def wordpiece() -> dict[str, Any]:
    tokens = ["[UNK]", "a", "b", "##a", "##b", "##c", "ab", "##ab", "7", "(", "#", "日", "e", "x"]
    model = {
        "type": "WordPiece",
        "vocab": {t: i for i, t in enumerate(tokens)},
        "unk_token": "[UNK]",
    }
    model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 12}
    return {"model": model}


def replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


PREPEND = {"type": "Prepend", "prepend": MARK}
SPACES = replace(" ", MARK)
BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
JOINING = {"a" + MARK: -1.5, "b" + MARK + "a": -0.5}
TOKENIZERS: dict[str, dict[str, Any] | Callable[[], bytes]] = {
    "unigram, spaces collapse": piece_model,
    "unigram, spaces kept": partial(piece_model, collapse=False),
    "unigram, nmt_nfkc": partial(piece_model, rules="nmt_nfkc"),
    "unigram, nfkc": partial(piece_model, rules="nfkc"),
    "unigram, bytes": partial(piece_model, has_bytes=True),
    "unigram, no prefix": partial(piece_model, prefix=False),
    "unigram, suffix": partial(piece_model, suffix=True),
    "unigram, tokens over spaces": partial(piece_model, more=JOINING),
    "unigram, symbols": partial(piece_model, ["(#", "x"]),
    "unigram, symbol with a space": partial(piece_model, ["a b"]),
    "sentencepiece bpe": partial(piece_model, model_type=BPE_TYPE),
    "sentencepiece bpe, bytes": partial(
        piece_model, model_type=BPE_TYPE, has_bytes=True, collapse=False
    ),
    "sentencepiece bpe, over spaces": partial(piece_model, model_type=BPE_TYPE, more=JOINING),
    "unigram of tokenizers": unigram() | {"normalizer": SPACES},
    "unigram of tokenizers, prefix": unigram()
    | {"normalizer": {"type": "Sequence", "normalizers": [PREPEND, SPACES]}},
    "unigram by words": unigram() | {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    "bpe, prefix": bpe() | {"normalizer": {"type": "Sequence", "normalizers": [PREPEND, SPACES]}},
    "bpe, spaces kept": bpe() | {"normalizer": SPACES},
    "bpe, whole words": bpe(ignore_merges=True) | {"normalizer": SPACES},
    "bpe, ends of words": bpe(end_of_word_suffix="c") | {"normalizer": SPACES},
    "bpe, two normalizers": bpe()
    | {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, SPACES]}},
    "bpe by words": bpe()
    | {"pre_tokenizer": {"type": "Whitespace"}, "normalizer": {"type": "NFD"}},
    "wordpiece": wordpiece()
    | {
        "normalizer": BERT | {"lowercase": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    },
    "wordpiece, case and accents kept": wordpiece()
    | {
        "normalizer": BERT | {"clean_text": False, "lowercase": False, "strip_accents": False},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    },
    "wordpiece, spaces hidden from the words": wordpiece()
    | {"pre_tokenizer": {"type": "WhitespaceSplit"}, "normalizer": SPACES},
    "wordpiece, one word": wordpiece() | {"normalizer": {"type": "Lowercase"}},
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Tokenizer:
    path = tmp_path_factory.mktemp("chunks") / "tokenizer"
    source = TOKENIZERS[request.param]
    if isinstance(source, dict):
        path.write_text(json.dumps({"version": "1.0"} | source), encoding="utf-8")
    else:
        path.write_bytes(source())
    return Tokenizer.load(path)


def whole_text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode_with_offsets(text)[0])


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@settings(max_examples=250, deadline=None)
def test_chunks_change_no_id(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in [*texts, texts[0], " ".join(texts)]:
        want = whole_text_ids(tokenizer, text)
        assert tokenizer.encode(text) == want, text
        assert tokenizer.encode(text) == want, text  # now from memory


def test_long_texts_pass_every_batch_and_every_limit(tokenizer: Tokenizer) -> None:
    # Path scores pass 100,000, where sentencepiece starts again, several times.
    words = ["abab ", "ba ab", "aba", " abc\n", "é7 日", "bab ", "x(a"]
    text = " ".join(words[i * i % 7] + "ab" * (i % 5) for i in range(60_000))
    want = whole_text_ids(tokenizer, text)
    for _ in range(2):
        assert tokenizer.encode(text) == want


def test_a_real_vocabulary(fixtures_dir: Path) -> None:
    corpus = fixtures_dir / "corpora" / "botchan.txt"
    text = corpus.read_text(encoding="utf-8") * 3
    for name in ("sentencepiece.nai-t5.model", "sentencepiece.llama2.model"):
        tokenizer = Tokenizer.load(fixtures_dir / "tokenizers" / "models" / name)
        want = whole_text_ids(tokenizer, text)
        assert tokenizer.encode(text) == want
        assert tokenizer.encode(text) == want
