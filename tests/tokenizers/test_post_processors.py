"""Post-processors: special tokens around texts, and files that name tokens that are not there."""

import json
from typing import Any

import pytest

from llmcore._bindings import PostProcessor
from llmcore.errors import ConfigError, DataError

TOKENS = ["[CLS]", "[SEP]", "a", "Ġb", "Ġ Ġc", "dĠ"]
BERT = {"type": "BertProcessing", "cls": ["[CLS]", 0], "sep": ["[SEP]", 1]}
ROBERTA = {**BERT, "type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": True}


def special(name: str, type_id: int = 0) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": type_id}}


def text(name: str, type_id: int = 0) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": type_id}}


def template(single: list[Any], pair: list[Any], **ids: list[int]) -> dict[str, Any]:
    tokens = {
        n: {"id": n, "ids": i, "tokens": [TOKENS[k] for k in i if k < 6]} for n, i in ids.items()
    }
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": tokens,
    }


TWO = template(
    [special("x"), text("A"), special("y", 2)],
    [text("B", 1), special("x"), text("A", 3)],
    x=[0],
    y=[1, 0],
)


def build(component: Any) -> PostProcessor:
    return PostProcessor.build(json.dumps(component), TOKENS)


def test_none() -> None:
    assert build(None).process([2, 3], [4], None, None, True) == (
        [2, 3, 4],
        [0, 0, 1],
        [0, 0, 0],
        None,
    )


def test_template() -> None:
    processor = build(TWO)
    assert processor.process([2], None, None, None, True) == (
        [0, 2, 1, 0],
        [0, 0, 2, 2],
        [1, 0, 1, 1],
        None,
    )
    got = processor.process([2], [3, 4], [(0, 1)], [(0, 2), (2, 3)], True)
    assert got == ([3, 4, 0, 2], [1, 1, 0, 3], [0, 0, 1, 0], [(0, 2), (2, 3), (0, 0), (0, 1)])
    assert processor.process([2], [3], None, None, False)[:2] == ([3, 2], [1, 3])


def test_bert_and_roberta() -> None:
    assert build(BERT).process([2], [3], None, None, True)[:3] == (
        [0, 2, 1, 3, 1],
        [0, 0, 0, 1, 1],
        [1, 0, 1, 0, 1],
    )
    ids, types, _, _ = build(ROBERTA).process([2], [3], None, None, True)
    assert (ids, types) == ([0, 2, 1, 1, 3, 1], [0] * 6)


def test_spans_lose_their_spaces() -> None:
    spans = [(0, 1), (1, 3), (3, 7), (7, 9)]
    got = build(ROBERTA).process([2, 3, 4, 5], None, spans, None, False)
    assert got[3] == [(0, 1), (2, 3), (6, 7), (7, 8)]


def test_a_sequence_and_its_frame() -> None:
    steps = [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}, TWO]
    processor = build({"type": "Sequence", "processors": steps})
    assert processor.single_frame() == ([0], [1, 0])
    assert build(template([special("x")], [], x=[0])).single_frame() is None
    assert build(template([text("A"), text("A")], [])).single_frame() is None
    assert build(None).single_frame() == ([], [])


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"type": "Nothing"}, r'post_processor.type: must be a post-processor .* got "Nothing"'),
        ({**BERT, "cls": ["[CLS]", 6]}, r"post_processor.cls\[1\]: must be an integer from 0 to 5"),
        ({**BERT, "sep": ["[SEP]"]}, "post_processor.sep: must be a token and its id, got 1"),
        (template([special("z")], []), r"single\[0\].*must be one of special_tokens, got \"z\""),
        (template([special("z")], [], z=[7]), r"special_tokens.\"z\".ids: must be an integer"),
        (template([text("B")], []), r"single\[0\].Sequence.id: must be \"A\" for a single text"),
        (template([text("A")] * 257, []), "256 pieces at most"),
        (template([special("z")] * 200, [], z=[0] * 99), "at most 4096 ids"),
    ],
)
def test_malformed_components(component: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        build(component)
    assert "\n" not in str(error.value)


def test_a_template_takes_two_texts_at_most() -> None:
    with pytest.raises(DataError, match="one or two sequences, got 3"):
        build({"type": "Sequence", "processors": [TWO, TWO]}).process([2], None, None, None, True)


def test_spans_must_match_ids() -> None:
    with pytest.raises(ConfigError, match="spans must be as many as ids, got 0 for 1"):
        build(BERT).process([2], None, [], None, True)
