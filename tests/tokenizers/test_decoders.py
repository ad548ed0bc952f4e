"""Decoders: tables, streams, and files that ask for too much."""

import json
import random
import threading
from typing import Any

import numpy as np
import pytest

from llmcore._bindings import TokenBytes, decode_tokens
from llmcore.errors import DataError

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
LLAMA = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
PIECES = {
    "type": "SentencePiece",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
    "byte_fallback": True,
    "unknown": "<unk>",
    "control": ["<s>", "</s>"],
}
WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "▁",
    "▁Hello",
    "World",
    "é",
    "<0xE6>",
    "<0x97>",
    "<0xA5>",
    "<0xFF>",
]


def table(tokens: list[str], decoder: Any, special: tuple[int, ...] = ()) -> TokenBytes:
    is_special = [i in special for i in range(len(tokens))]
    return TokenBytes.build(tokens, is_special, json.dumps(decoder))


def decode(decoder: Any, *tokens: str) -> str:
    return decode_tokens(json.dumps(decoder), list(tokens))


def replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


@pytest.mark.parametrize(
    ("decoder", "tokens", "text"),
    [
        (None, ["a", "b"], "a b"),
        (BYTE_LEVEL, ["Hello", "ĠW", "Ã", "©", "ð"], "Hello Wé\ufffd"),
        ({"type": "WordPiece", "prefix": "##", "cleanup": True}, ["do", "##ing", "."], "doing."),
        ({"type": "Metaspace", "replacement": "▁"}, ["▁a▁", "▁b"], "a b"),
        ({"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}, ["▁a"], " a"),
        ({"type": "BPEDecoder", "suffix": "</w>"}, ["a</w>", "b</w>"], "a b"),
        ({"type": "ByteFallback"}, ["<0xE6>", "<0x97>", "<0xA5>", "<0xE6>"], "\ufffd" * 4),
        ({"type": "Strip", "content": " ", "start": 1, "stop": 1}, ["  ", " "], ""),
        (LLAMA, ["▁▁Hello", "<0xE6>", "<0x97>", "<0xA5>"], " Hello日"),
        (PIECES, ["<s>", "▁Hello", "<0xE6>", "<0xE6>", "<0x97>", "<0xA5>"], "Hello\ufffd日"),
    ],
)
def test_texts(decoder: Any, tokens: list[str], text: str) -> None:
    assert decode(decoder, *tokens) == text
    ours = table(tokens, decoder)
    ids = list(range(len(tokens)))
    assert ours.decode(ids, False) == text
    stream = ours.stream(False)
    assert "".join([*(stream.push(i) for i in ids), stream.finish()]) == text


@pytest.mark.parametrize("decoder", [None, BYTE_LEVEL, LLAMA, PIECES, {"type": "ByteFallback"}])
def test_ten_thousand_streams_equal_decode(decoder: Any) -> None:
    tokens = WORDS + ["Ã", "©", "ðŁ", "ĺ", "Ģ"]
    ours = table(tokens, decoder, special=(1, 2))
    rng = random.Random(0)
    stream = ours.stream(True)
    for _ in range(10_000):
        ids = [rng.randrange(len(tokens)) for _ in range(rng.randrange(10))]
        assert "".join([*(stream.push(i) for i in ids), stream.finish()]) == ours.decode(ids, True)


def test_a_stream_emits_what_is_certain() -> None:
    stream = table(WORDS, PIECES).stream(False)
    ids = [WORDS.index(t) for t in ("▁Hello", "<0xE6>", "<0x97>", "<0xA5>", "<0xFF>", "<0xE6>")]
    assert [stream.push(i) for i in ids] == ["Hello", "", "", "日", "\ufffd", ""]
    assert stream.finish() == "\ufffd"
    # This decoder judges a run of byte tokens as a whole: it must wait for the end.
    stream = table(WORDS, LLAMA).stream(False)
    assert [stream.push(i) for i in ids] == ["Hello", "", "", "", "\ufffd" * 4, "\ufffd"]
    assert stream.finish() == ""


def test_long_lists_and_arrays() -> None:
    ours = table(WORDS, PIECES, special=(1, 2))
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 7, 100_000, dtype=np.uint32)
    want = decode(PIECES, *(WORDS[i] for i in ids))
    assert ours.decode(ids, False) == ours.decode(ids.tolist(), False) == want
    assert ours.decode_bytes(ids, False) == want.encode()


def test_ids_without_a_token_are_passed_over() -> None:
    ours = table(["▁a", "", "<0xC3>", "<0xA9>"], LLAMA)
    assert ours.decode([1, 0, 2, 1, 3], False) == "aé"


@pytest.mark.parametrize("ids", [[0, 11], [-1], [2**64], ["a"], [1.0], np.array([99], np.uint32)])
def test_unknown_ids(ids: Any) -> None:
    ours = table(WORDS, PIECES)
    with pytest.raises(DataError, match=r"^decode: ids must be in \[0, 11\), got "):
        ours.decode(ids, False)


def test_a_refused_id_leaves_the_stream_as_it_was() -> None:
    stream = table(WORDS, PIECES).stream(False)
    assert stream.push(7) == ""
    with pytest.raises(DataError, match="ids must be in"):
        stream.push(11)
    assert stream.push(8) + stream.push(9) == "日"


def test_threads_share_a_table() -> None:
    ours = table(WORDS, LLAMA)
    ids = np.random.default_rng(0).integers(0, len(WORDS), 50_000, dtype=np.uint32)
    want = ours.decode(ids, False)
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(ours.decode(ids, False))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [want] * 4


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"type": "Nothing"}, r'decoder.type: must be a decoder of tokenizer.json, got "Nothing"'),
        ({}, "decoder.type: must be a string, got null"),
        ([], "decoder.type: must be a string, got null"),
        ({"type": "WordPiece", "cleanup": True}, "decoder.prefix: must be a string, got null"),
        ({"type": "Strip", "content": "ab", "start": 0, "stop": 0}, "must be one character"),
        (
            {"type": "Strip", "content": "a", "start": -1, "stop": 0},
            "decoder.start: must be an int",
        ),
        ({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "x"}, "prepend_scheme: must"),
        (
            {
                "type": "Sequence",
                "decoders": [{"type": "Fuse"}, {"type": "Strip", "start": 0, "stop": 0}],
            },
            r"decoder.decoders\[1\].content: must be a string, got null",
        ),
        (
            {"type": "Replace", "pattern": {"Regex": "a("}, "content": ""},
            "decoder.pattern.Regex: ",
        ),
        ({"type": "Sequence", "decoders": [{"type": "Fuse"}] * 257}, "at most 256 steps"),
        ({"type": "Sequence", "decoders": [replace("a", "aa")] * 60}, "4096 times longer"),
        ({"type": "Sequence", "decoders": [replace("", "a")] * 60}, "4096 times longer"),
    ],
)
def test_malformed_components(decoder: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        table(WORDS, decoder)
    assert "\n" not in str(error.value)
