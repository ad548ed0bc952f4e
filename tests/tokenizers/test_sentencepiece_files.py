"""SentencePiece's `.model`: what is read, what is refused."""

import json

import pytest

from llmcore.errors import DataError
from tests.support.tokenizer_files import (
    BPE_TYPE,
    BYTE_PIECES,
    CHAR_TYPE,
    NORMAL,
    PIECES,
    UNIGRAM_TYPE,
    UNUSED,
    WORD_TYPE,
    piece_file,
    proto,
    read,
)


def test_sentencepiece_bpe() -> None:
    spec = read(piece_file(BPE_TYPE, normalizer=proto(3, 0) + proto(4, 0))).to_dict()
    assert spec["kind"] == "bpe" and spec["tokens"] == [text for text, _, _ in PIECES]
    pairs = [(spec["tokens"][a], spec["tokens"][b]) for a, b in spec["merges"]]
    assert pairs == [("▁", "a"), ("a", "b"), ("▁", "ab"), ("▁a", "b")]
    assert json.loads(spec["normalizer"]) == {
        "type": "SentencePiece",
        "precompiled_charsmap": "",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "escape_whitespaces": True,
        "user_defined_symbols": ["<sep>"],
    }
    assert [(a["content"], a["special"]) for a in spec["added"]] == [
        ("<unk>", True),
        ("<s>", True),
        ("</s>", True),
        ("<sep>", False),
    ]
    details = json.loads(spec["extra"])
    assert details["sentencepiece_bpe"] and details["roles"] == {"unk": 0, "bos": 1, "eos": 2}


def test_sentencepiece_unigram_hides_what_no_text_may_give() -> None:
    pieces = [*PIECES, ("old", -7.0, UNUSED)]
    spec = read(piece_file(UNIGRAM_TYPE, pieces)).to_dict()
    assert spec["kind"] == "unigram" and spec["options"]["unk_id"] == 0
    assert spec["tokens"] == ["", "", ""] + [text for text, _, _ in PIECES[3:]] + [""]
    assert spec["scores"] == [score for _, score, _ in pieces]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (piece_file(WORD_TYPE), "model_type: must be UNIGRAM or BPE, got WORD"),
        (piece_file(CHAR_TYPE), "model_type: must be UNIGRAM or BPE, got CHAR"),
        (piece_file(BPE_TYPE, PIECES[1:]), "must be with one unknown piece, got 0"),
        (piece_file(BPE_TYPE, [*PIECES, ("a", 0.0, NORMAL)]), 'must be distinct, got "a" twice'),
        (piece_file(BPE_TYPE, [*PIECES, ("", 0.0, NORMAL)]), "piece 10: must be non-empty UTF-8"),
        (piece_file(BPE_TYPE, [*PIECES, ("x", 0.0, 9)]), "type: must be from 1 to 6, got 9"),
        (piece_file(BPE_TYPE, trainer=proto(35, 1)), "byte_fallback: must be backed by 256"),
        (piece_file(BPE_TYPE, PIECES + BYTE_PIECES), "without byte_fallback"),
        (piece_file(BPE_TYPE, [*PIECES, ("x", float("nan"), NORMAL)]), "of finite score"),
    ],
)
def test_wrong_sentencepiece_models_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(data)
    assert message in str(caught.value)
