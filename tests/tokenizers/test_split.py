"""Scanners, safe cuts and pre-tokenizers without other packages."""

import json
import random
from typing import Any

import pytest

from llmcore._bindings import PreTokenizer, known_pattern_text, safe_cuts, split_known
from llmcore.errors import ConfigError, DataError

NAMES = ["gpt2", "cl100k_base", "llama3", "qwen2", "o200k_base", "deepseek-v3"]
WORDS = [
    *(b"the", b"Hello", b"camelCase", b"HTTPServer", b"don't", b"WE'LL", b"'s", b"'", b"x'sy"),
    *(b" ", b" ", b" ", b"  ", b"    ", b"\n", b"\n\n", b"\r\n", b"\t", b" \n ", b"1", b"12345"),
    *(b"!", b"//", b"()", b"_", b"/", b"\x00", b"\x7f", b"\xff", b"\xe2\x82", b"\xf0\x9f"),
    *("日本、".encode(), "é".encode(), "\u0301".encode(), "ſ".encode(), "\u3000".encode()),
]


def random_bytes(rng: random.Random, most: int) -> bytes:
    words = WORDS if rng.random() < 0.5 else WORDS[:26]
    return b"".join(rng.choices(words, k=rng.randrange(most)))


def pieces(name: str, text: str | bytes) -> list[bytes]:
    data = text if isinstance(text, bytes) else text.encode()
    return [data[a:b] for a, b in split_known(name, text).reshape(-1, 2).tolist()]


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("gpt2", "it's  a12", ["it", "'s", " ", " a", "12"]),
        ("gpt2", "IT'S", ["IT", "'", "S"]),
        ("cl100k_base", "IT'S 1234 a.b\n\n ", ["IT", "'S", " ", "123", "4", " a", ".b", "\n\n "]),
        ("llama3", "x\n\n ", ["x", "\n\n", " "]),
        ("qwen2", "1234", ["1", "2", "3", "4"]),
        ("o200k_base", "myHTTPServer's ab/\n/c", ["my", "HTTPServer's", " ab", "/\n/", "c"]),
        ("o200k_base", "日本ABC", ["日本", "ABC"]),
        ("deepseek-v3", "a 12日本語b.c", ["a", " ", "12", "日本語", "b", ".c"]),
    ],
)
def test_pieces_of(name: str, text: str, want: list[str]) -> None:
    assert [piece.decode() for piece in pieces(name, text)] == want


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_single_pieces_agree(name: str) -> None:
    """A text of under 64 bytes is scanned character by character, a longer one by blocks."""
    rng = random.Random(5)
    for _ in range(400):
        data = random_bytes(rng, 60)
        found = pieces(name, data)
        assert b"".join(found) == data
        at = 0
        for piece in found:
            # What a piece is depends on what follows it, far enough for all white space.
            tail = data[at : at + 63]
            if len(piece) < 40 and not tail[len(piece) :].isspace():
                assert pieces(name, tail)[0] == piece, (data, at)
            at += len(piece)


@pytest.mark.parametrize("name", NAMES)
def test_safe_cuts_change_nothing(name: str) -> None:
    rng = random.Random(6)
    num_cuts = 0
    for _ in range(200):
        data = random_bytes(rng, 50)
        cuts = safe_cuts(name, data).tolist()
        num_cuts += len(cuts)
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert [piece for part in parts for piece in pieces(name, part)] == pieces(name, data)
    assert num_cuts > 1000


@pytest.mark.parametrize("name", NAMES)
def test_japanese_can_be_cut(name: str) -> None:
    text = "吾輩は猫である。名前はまだ無い。" * 100
    assert len(safe_cuts(name, text)) >= 199


def make(component: dict[str, Any]) -> PreTokenizer:
    return PreTokenizer.from_json(json.dumps(component))


def test_recognises_byte_level_patterns() -> None:
    plain = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    assert make({"type": "ByteLevel", "add_prefix_space": False}).known_pattern == "gpt2"
    assert make({"type": "ByteLevel", "add_prefix_space": True}).known_pattern is None
    for name in NAMES[2:5]:
        split = {"type": "Split", "pattern": {"Regex": known_pattern_text(name)}}
        for behavior, invert in (("Isolated", False), ("Removed", True)):
            parts = [{**split, "behavior": behavior, "invert": invert}, plain]
            assert make({"type": "Sequence", "pretokenizers": parts}).known_pattern == name
        parts = [{**split, "behavior": "Removed", "invert": False}, plain]
        assert make({"type": "Sequence", "pretokenizers": parts}).known_pattern is None


def test_null_keeps_the_text_whole() -> None:
    text, bounds, origins = PreTokenizer.from_json("null").split("a b")
    assert (text, bounds.tolist(), origins.tolist()) == (b"a b", [0, 3], [0, 3])


def test_metaspace_prepends_at_the_start_alone() -> None:
    splitter = make({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})
    assert splitter.split("a b")[0].decode() == "▁a▁b"
    assert splitter.split("a b", is_start=False)[0].decode() == "a▁b"


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({}, "pre_tokenizer.type: must be"),
        ({"type": "Spaces"}, "pre_tokenizer.type: must be a known pre-tokenizer"),
        ({"type": "Split", "behavior": "Isolated"}, "pre_tokenizer.pattern: must be"),
        ({"type": "Split", "behavior": "Isolate"}, "pre_tokenizer.behavior: must be Removed"),
        (
            {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": r"(a)\1"}},
            "pre_tokenizer.pattern.Regex: must be a supported regular expression",
        ),
        ({"type": "Metaspace", "replacement": "ab"}, "pre_tokenizer.replacement: must be one"),
        ({"type": "CharDelimiterSplit", "delimiter": ""}, "pre_tokenizer.delimiter: must be one"),
        (
            {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "x"}]},
            r"pre_tokenizer.pretokenizers\[1\].type: must be",
        ),
        ({"type": "FixedLength", "length": 0}, "pre_tokenizer.length: must be"),
    ],
)
def test_errors_name_the_field(component: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(component)


def test_nesting_is_bounded() -> None:
    component: dict[str, Any] = {"type": "Whitespace"}
    for _ in range(40):
        component = {"type": "Sequence", "pretokenizers": [component]}
    with pytest.raises(DataError, match="at most 32 nested"):
        make(component)


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="pattern: must be a known name or text"):
        split_known("gpt9", "a")
