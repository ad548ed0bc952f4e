"""`tokenizer.json`: what is read, what is refused."""

import json
from typing import Any

import pytest

from llmcore import _bindings
from llmcore.errors import DataError
from tests.support.tokenizer_files import BPE, NEITHER, WORDPIECE, added, extra, hf_file, read


def test_tokenizer_json_keeps_everything() -> None:
    flags = {"lstrip": True, "single_word": True, "normalized": True}
    truncation = {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
    data = hf_file(
        BPE | {"dropout": 0.25, "unk_token": "a", "fuse_unk": True, "byte_fallback": True},
        added_tokens=[added(9, "<e>", **flags), added(0, "ab", special=True)],
        truncation=truncation,
        normalizer=NEITHER[0],
        pre_tokenizer=NEITHER[1],
    )
    spec = read(data)
    assert json.loads(spec.normalizer) == NEITHER[0]
    assert json.loads(spec.pre_tokenizer) == NEITHER[1]
    assert extra(spec) == {"truncation": truncation}
    # As `tokenizers` numbers them: the next free id, or the model's own.
    assert spec.added == [added(7, "<e>", **flags), added(3, "ab", special=True)]
    options = spec.to_dict()["options"]
    assert options["dropout"] == 0.25 and options["fuse_unk"] and options["byte_fallback"]
    assert not spec.to_dict()["byte_level"]
    written = json.loads(_bindings.write_tokenizer(spec, "tokenizer.json"))
    want = json.loads(data) | {"added_tokens": spec.added}
    assert written == want


def test_merges_as_lines_or_pairs_and_type_by_fields() -> None:
    lines = {k: v for k, v in BPE.items() if k != "type"} | {"merges": ["a b", "ab c"]}
    pairs = read(hf_file(BPE)).to_dict()
    assert read(hf_file(lines)).to_dict() == pairs
    assert pairs["merges"] == [(0, 1), (3, 2)]
    untyped = {k: v for k, v in WORDPIECE.items() if k != "type"}
    assert read(hf_file(untyped)).kind == "wordpiece"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "WordLevel"}, 'model.type: must be BPE, WordPiece or Unigram, got "WordLevel"'),
        ({"merges": ["a b c"]}, "model.merges: merge 0: must be two tokens"),
        ({"merges": [["a", "é"]]}, "merge 0: must be two tokens of the vocabulary that join"),
        ({"merges": [["a", "x"]]}, "merge 0: must be two tokens of the vocabulary that join"),
        ({"merges": 5}, "model.merges: must be a list, got 5"),
        ({"vocab": {"a": 0, "b": 0}}, 'must be one token per id, got "a" and "b" at 0'),
        ({"vocab": {"a": -1}}, 'model.vocab: id of "a": must be an integer'),
        ({"vocab": {"a": 9999999}}, 'model.vocab: id of "a": must be an integer'),
        ({"vocab": []}, "model.vocab: must be an object, got a list"),
        ({"dropout": 2}, "model.dropout: must be from 0 to 1, got 2"),
        ({"fuse_unk": 1}, "model.fuse_unk: must be true or false, got 1"),
    ],
)
def test_wrong_models_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(hf_file(BPE | change))
    assert message in str(caught.value)


def test_wrong_tokenizer_json_is_refused() -> None:
    with pytest.raises(DataError, match=r'version: must be "1.0", got "2.0"'):
        read(hf_file(BPE, version="2.0"))
    with pytest.raises(DataError, match=r'a member "lexicon"'):
        read(hf_file(BPE, lexicon=1))
    with pytest.raises(DataError, match="twice in the object"):
        read(hf_file(BPE).replace(b'"b": 1', b'"a": 1'))
    many = json.dumps({f"token{i}": i for i in range(5000)})[:-1] + ', "token7": 5000}'
    with pytest.raises(DataError, match='the name "token7" twice'):
        read(many.encode())
    with pytest.raises(DataError, match="not UTF-8"):
        read(hf_file(BPE).replace("é".encode(), b"\xc3"))
