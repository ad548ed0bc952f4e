"""Reading and writing of tokenizer files: round trips, refusals, and files that are damaged."""

import base64
import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.formats import METADATA_NAME, read_tokenizer_file, write_tokenizer_file

WRITERS = ("tiktoken", "tokenizer.json", "sentencepiece", "gguf", "vocab.txt", "vocab.json")
NEITHER = {"type": "NFC"}, {"type": "Whitespace"}


# --- Small files of every format, made by hand -----------------------------------------------


def rank_file(extra: tuple[bytes, ...] = (b"th", b"the", b" t", b" th")) -> bytes:
    tokens = [bytes([b]) for b in range(256)] + list(extra)
    return b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate(tokens))


def added(token_id: int, content: str, **flags: bool) -> dict[str, Any]:
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": token_id, "content": content} | {n: flags.get(n, False) for n in names}


def hf_file(model: dict[str, Any], **fields: Any) -> bytes:
    empty = dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    )
    data = {"version": "1.0", "added_tokens": []} | empty | fields | {"model": model}
    return json.dumps(data, ensure_ascii=False).encode()


BPE = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
    "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "Ġ": 5, "é": 6},
    "merges": [["a", "b"], ["ab", "c"]],
}
WORDPIECE = {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "un": 4, "##able": 5, "日": 6},
}
UNIGRAM = {
    "type": "Unigram",
    "unk_id": 0,
    "vocab": [["<unk>", 0.0], ["▁", -2.5], ["a", -3.25], ["▁a", -1.1]],
    "byte_fallback": False,
}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
BERT_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def proto(number: int, value: int | float | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value & 2**64 - 1)


NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM_TYPE, BPE_TYPE, WORD_TYPE, CHAR_TYPE = range(1, 5)
PIECES = [
    ("<unk>", 0.0, UNKNOWN),
    ("<s>", 0.0, CONTROL),
    ("</s>", 0.0, CONTROL),
    ("<sep>", 0.0, USER_DEFINED),
    ("▁a", -1.0, NORMAL),
    ("ab", -2.0, NORMAL),
    ("▁", -3.0, NORMAL),
    ("a", -4.0, NORMAL),
    ("b", -5.0, NORMAL),
    ("▁ab", -6.0, NORMAL),
]
BYTE_PIECES = [(f"<0x{b:02X}>", 0.0, BYTE) for b in range(256)]


def piece_file(
    model_type: int,
    pieces: list[tuple[str, float, int]] = PIECES,
    trainer: bytes = b"",
    normalizer: bytes = b"",
) -> bytes:
    entries = b"".join(
        proto(1, proto(1, text.encode()) + proto(2, score) + (proto(3, kind) if kind > 1 else b""))
        for text, score, kind in pieces
    )
    specs = proto(2, proto(3, model_type) + trainer) + proto(3, proto(1, b"identity") + normalizer)
    return entries + specs


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_file(values: dict[str, Any], version: int = 3) -> bytes:
    out = b"GGUF" + struct.pack("<IQQ", version, 0, len(values))
    for key, value in values.items():
        out += gguf_text(key)
        match value:
            case bool():
                out += struct.pack("<I?", 7, value)
            case int():
                out += struct.pack("<II", 4, value)
            case str():
                out += struct.pack("<I", 8) + gguf_text(value)
            case [str(), *_]:
                out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(gguf_text, value))
            case [float(), *_]:
                out += struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
            case list():
                out += struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    return out


GGUF_BPE = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "<|end|>", "[PAD4]"],
    "tokenizer.ggml.token_type": [1, 1, 1, 3, 5],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.eos_token_id": 3,
    "tokenizer.ggml.add_eos_token": True,
    "tokenizer.chat_template": "{{ messages }}",
}
GGUF_LLAMA = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": [text for text, _, _ in PIECES],
    "tokenizer.ggml.scores": [score for _, score, _ in PIECES],
    "tokenizer.ggml.token_type": [kind for _, _, kind in PIECES],
    "tokenizer.ggml.bos_token_id": 1,
}
GGUF_BERT = {
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.tokens": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁un", "able"],
    "tokenizer.ggml.token_type": [3, 3, 3, 3, 1, 1],
    "tokenizer.ggml.unknown_token_id": 1,
    "tokenizer.ggml.cls_token_id": 2,
    "tokenizer.ggml.seperator_token_id": 3,
}

SAMPLES: dict[str, bytes] = {
    "tiktoken": rank_file(),
    "json-bpe": hf_file(BPE, pre_tokenizer=BYTE_LEVEL, added_tokens=[added(7, "<e>")]),
    "json-wordpiece": hf_file(
        WORDPIECE,
        normalizer=BERT_NORMALIZER,
        pre_tokenizer={"type": "BertPreTokenizer"},
        added_tokens=[added(i, t, special=True) for t, i in list(WORDPIECE["vocab"].items())[:4]],
    ),
    "json-unigram": hf_file(UNIGRAM, normalizer={"type": "NFKC"}),
    "piece-bpe": piece_file(BPE_TYPE),
    "piece-unigram": piece_file(
        UNIGRAM_TYPE, PIECES + BYTE_PIECES, proto(35, 1), proto(2, b"\x04\0\0\0abcd")
    ),
    "gguf-bpe": gguf_file(GGUF_BPE),
    "gguf-llama": gguf_file(GGUF_LLAMA),
    "gguf-t5": gguf_file(GGUF_LLAMA | {"tokenizer.ggml.model": "t5"}, version=2),
    "gguf-bert": gguf_file(GGUF_BERT),
    "vocab-txt": "\n".join(WORDPIECE["vocab"]).encode() + b"\n",
    "vocab-json": json.dumps(BPE["vocab"]).encode(),
}
MERGES = b"#version: 0.2\na b\nab c\n"


def read(data: bytes, **options: Any) -> _bindings.TokenizerSpec:
    if _bindings.detect_format(data) == "tiktoken":
        options = {"pattern": "gpt2", "special_tokens": {"<e>": 300}} | options
    return _bindings.read_tokenizer(data, "file", **({"merges": MERGES} | options))


def extra(spec: _bindings.TokenizerSpec) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(spec.extra)
    return data


# --- What is read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("tiktoken", "tiktoken"),
        ("json-bpe", "tokenizer.json"),
        ("json-unigram", "tokenizer.json"),
        ("piece-bpe", "sentencepiece"),
        ("piece-unigram", "sentencepiece"),
        ("gguf-t5", "gguf"),
        ("vocab-txt", "vocab.txt"),
        ("vocab-json", "vocab.json"),
    ],
)
def test_format_is_told_by_content(sample: str, name: str) -> None:
    assert _bindings.detect_format(SAMPLES[sample]) == name


def test_format_of_other_content() -> None:
    assert _bindings.detect_format(MERGES) == "merges.txt"
    assert _bindings.detect_format(b"a b\nab c\n") == "merges.txt"
    assert _bindings.detect_format(b'{"llmcore_tokenizer": 1}') == "llmcore"
    assert _bindings.detect_format(b'\xef\xbb\xbf {"a\\"b": 7}') == "vocab.json"
    assert _bindings.detect_format(b"{\n}\n[UNK]\n") == "tokenizer.json"
    assert _bindings.detect_format(b"{\n[UNK]\n") == "vocab.txt"
    for data in (b"", b"\n\n", b"\x00\x01\x02", b"\xff\xfe"):
        assert _bindings.detect_format(data) == "unknown"
        with pytest.raises(DataError, match="^file: must be tiktoken ranks"):
            _bindings.read_tokenizer(data, "file")


def test_tiktoken_ranks_may_leave_gaps() -> None:
    data = SAMPLES["tiktoken"] + base64.b64encode(b"\xff\xfe") + b" 270\r\n\n"
    spec = read(data, special_tokens={"<e>": 265}, pattern=r"\w+|\W+").to_dict()
    assert spec["kind"] == "bpe" and spec["byte_level"]
    assert spec["options"]["by_rank"] and spec["merges"] == []
    assert len(spec["tokens"]) == 271
    assert spec["tokens"][256:260] == ["th", "the", "Ġt", "Ġth"]
    assert spec["tokens"][260:270] == [""] * 10 and spec["tokens"][270] == "ÿþ"
    assert [(a["id"], a["content"], a["special"]) for a in spec["added"]] == [(265, "<e>", True)]
    assert json.loads(spec["pre_tokenizer"])["pretokenizers"][0]["pattern"] == {"Regex": r"\w+|\W+"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"YQ== 0\nYQ== 1\n", 'token: must be given once, got "a" twice'),
        (b"YQ== 0\nYg== 0\n", "rank: must be given once, got 0 twice"),
        (b"YQ== 0\nYg= 1\n", "line 2: must be a base64 token and its rank"),
        (b"YQ== 0\nYg== -1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYh== 1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg==  1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg== 4294967295\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg== 1000000\n", "rank: must be at most 65551 in a file of 2 tokens"),
    ],
)
def test_damaged_ranks_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match="file: ") as caught:
        read(data, special_tokens={})
    assert message in str(caught.value)


def test_unknown_ranks_need_a_pattern() -> None:
    with pytest.raises(ConfigError, match="pattern must be given"):
        _bindings.read_tokenizer(SAMPLES["tiktoken"], "file")
    with pytest.raises(ConfigError, match="special_tokens: must be new ids"):
        read(SAMPLES["tiktoken"], special_tokens={"<e>": 7})
    with pytest.raises(ConfigError, match="special_tokens: must be distinct"):
        read(SAMPLES["tiktoken"], special_tokens={"<e>": 300, "<f>": 300})


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


def test_gguf() -> None:
    spec = read(SAMPLES["gguf-bpe"])
    data = spec.to_dict()
    assert data["tokens"] == ["a", "b", "ab"] and data["merges"] == [(0, 1)]
    assert json.loads(spec.pre_tokenizer) == BYTE_LEVEL
    assert [(a["id"], a["content"]) for a in spec.added] == [(3, "<|end|>")]
    assert extra(spec)["roles"] == {"eos": 3}
    assert extra(spec)["chat_template"] == "{{ messages }}"
    assert json.loads(spec.post_processor)["single"][1] == {
        "SpecialToken": {"id": "<|end|>", "type_id": 0}
    }
    bert = read(SAMPLES["gguf-bert"]).to_dict()
    assert bert["tokens"] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##able"]
    llama = read(SAMPLES["gguf-llama"]).to_dict()
    theirs = read(piece_file(BPE_TYPE, normalizer=proto(4, 0))).to_dict()
    assert {k: v for k, v in llama.items() if k not in ("extra", "post_processor")} == {
        k: v for k, v in theirs.items() if k not in ("extra", "post_processor")
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, 'must be llama, gpt2, bert or t5, got "rwkv"'),
        ({"tokenizer.ggml.pre": "new"}, "tokenizer.ggml.pre: must be a pre-tokenizer known here"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "must be one value per token, got 2 values"),
        ({"tokenizer.ggml.token_type": [1, 1, 1, 3, 9]}, "token_type: must be from 1 to 6, got 9"),
        ({"tokenizer.ggml.merges": ["a x"]}, 'must be two tokens that join to a third, got "a x"'),
        ({"tokenizer.ggml.tokens": "x"}, "tokens: must be a list of texts, got another type"),
    ],
)
def test_wrong_gguf_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(gguf_file(GGUF_BPE | change))
    assert message in str(caught.value)


@pytest.mark.parametrize("count", [2**20, 2**62, 2**64 - 1])
def test_huge_counts_end_at_once(count: int) -> None:
    """Counts are checked against the bytes there are before anything is allocated."""
    num_keys, key_size = 16, 24
    for at in (num_keys, key_size):
        data = bytearray(SAMPLES["gguf-bpe"])
        data[at : at + 8] = struct.pack("<Q", count)
        with pytest.raises(DataError, match="^file: must be a whole GGUF file"):
            read(bytes(data))
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text("tokenizer.ggml.tokens")
    for kind in range(13):
        with pytest.raises(DataError, match="^file: must be a whole GGUF file"):
            read(start + struct.pack("<IIQ", 9, kind, count))


def test_gguf_of_another_version_is_refused() -> None:
    with pytest.raises(DataError, match="version: must be 2 or 3, little endian, got 1"):
        read(gguf_file(GGUF_BPE, version=1))


def test_plain_vocabularies() -> None:
    spec = read(SAMPLES["vocab-txt"])
    assert spec.kind == "wordpiece" and json.loads(spec.normalizer)["lowercase"] is True
    assert [a["content"] for a in spec.added] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    assert json.loads(read(SAMPLES["vocab-txt"], lowercase=False).normalizer)["lowercase"] is False
    cased = read(SAMPLES["vocab-txt"] + b"Berlin\n")
    assert json.loads(cased.normalizer)["lowercase"] is False
    gpt2 = read(SAMPLES["vocab-json"]).to_dict()
    assert gpt2["byte_level"] and gpt2["merges"] == [(0, 1), (3, 2)]
    with pytest.raises(ConfigError, match="merges must be given"):
        _bindings.read_tokenizer(SAMPLES["vocab-json"], "file")
    vocab = {"a": 0, "b</w>": 1, "ab</w>": 2, "<|endoftext|>": 3}
    clip = read(json.dumps(vocab).encode(), merges=b"a b</w>\n", end_of_word_suffix="</w>")
    assert clip.to_dict()["merges"] == [(0, 1)]
    assert clip.to_dict()["options"]["end_of_word_suffix"] == "</w>"
    assert [(a["id"], a["content"]) for a in clip.added] == [(3, "<|endoftext|>")]


# --- Round trips -----------------------------------------------------------------------------

CAN_WRITE = {
    "tiktoken": {"tiktoken", "tokenizer.json", "gguf"},
    "json-bpe": {"tokenizer.json", "gguf", "tiktoken"},
    "json-wordpiece": {"tokenizer.json", "gguf", "vocab.txt"},
    "json-unigram": {"tokenizer.json"},
    "piece-bpe": {"tokenizer.json", "sentencepiece"},
    "piece-unigram": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-bpe": {"tokenizer.json", "gguf", "tiktoken"},
    "gguf-llama": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-t5": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-bert": {"tokenizer.json", "gguf", "vocab.txt"},
    "vocab-txt": {"tokenizer.json", "gguf", "vocab.txt"},
    "vocab-json": {"tokenizer.json", "gguf", "vocab.json", "tiktoken"},
}


def model_of(spec: _bindings.TokenizerSpec) -> dict[str, Any]:
    """What decides the ids."""
    data = spec.to_dict()
    names = ("kind", "byte_level", "tokens", "scores", "merges", "options", "normalizer", "added")
    return {n: data[n] for n in names} | {"pre_tokenizer": json.loads(data["pre_tokenizer"])}


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_format_is_written_or_refused(sample: str) -> None:
    spec = read(SAMPLES[sample])
    for name in WRITERS:
        if name in CAN_WRITE[sample]:
            assert _bindings.detect_format(_bindings.write_tokenizer(spec, name)) == name
        else:
            with pytest.raises(DataError, match=f"^{name}: cannot express "):
                _bindings.write_tokenizer(spec, name)


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("json-bpe", "tokenizer.json"),
        ("json-wordpiece", "tokenizer.json"),
        ("json-wordpiece", "vocab.txt"),
        ("json-wordpiece", "gguf"),
        ("json-unigram", "tokenizer.json"),
        ("piece-bpe", "sentencepiece"),
        ("piece-unigram", "sentencepiece"),
        ("piece-unigram", "gguf"),
        ("gguf-bpe", "gguf"),
        ("gguf-llama", "gguf"),
        ("gguf-llama", "sentencepiece"),
        ("gguf-t5", "sentencepiece"),
        ("gguf-bert", "tokenizer.json"),
        ("vocab-txt", "gguf"),
        ("tiktoken", "tiktoken"),
        ("vocab-json", "vocab.json"),
    ],
)
def test_round_trip(sample: str, name: str) -> None:
    spec = read(SAMPLES[sample])
    options: dict[str, Any] = {}
    if name == "vocab.json":
        options = {"merges": _bindings.write_tokenizer(spec, "merges.txt")}
    again = read(_bindings.write_tokenizer(spec, name), **options)
    assert model_of(again) == model_of(spec)


@pytest.mark.parametrize("sample", SAMPLES)
def test_our_directory_keeps_all(sample: str, tmp_path: Path) -> None:
    spec = read(SAMPLES[sample])
    write_tokenizer_file(spec, tmp_path)
    assert read_tokenizer_file(tmp_path).to_dict() == spec.to_dict()
    # A second tokenizer in the same place leaves nothing of the first.
    write_tokenizer_file(read(hf_file(BPE)), tmp_path)
    assert not (tmp_path / METADATA_NAME).exists()


def test_merges_of_ranks_are_the_last_step_of_each_token() -> None:
    data = rank_file((b"in", b"ing", b"ng", b"king", b"zz"))
    spec = json.loads(_bindings.write_tokenizer(read(data), "tokenizer.json"))
    assert spec["model"]["merges"] == [
        ["i", "n"],
        ["in", "g"],
        ["n", "g"],
        ["k", "ing"],
        ["z", "z"],
    ]
    assert spec["model"]["ignore_merges"] is True
    assert spec["model"]["vocab"]["<e>"] == 300


def test_tiktoken_needs_merges_in_the_order_of_ids() -> None:
    swapped = BPE | {"vocab": {"a": 0, "b": 1, "c": 2, "abc": 3, "ab": 4}}
    spec = read(hf_file(swapped, pre_tokenizer=BYTE_LEVEL))
    with pytest.raises(DataError, match="cannot express (merges whose|token)"):
        _bindings.write_tokenizer(spec, "tiktoken")


def test_files_and_directories(tmp_path: Path) -> None:
    spec = read(SAMPLES["vocab-json"])
    write_tokenizer_file(spec, tmp_path / "gpt2", format="vocab.json")
    assert (tmp_path / "gpt2" / "merges.txt").read_bytes() == MERGES
    assert read_tokenizer_file(tmp_path / "gpt2").to_dict() == spec.to_dict()
    path = write_tokenizer_file(spec, tmp_path / "x" / "model.bin", format="gguf")
    assert path.name == "model.bin" and read_tokenizer_file(path).vocab_size == 7
    (tmp_path / "gpt2" / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"must have merges.txt beside it"):
        read_tokenizer_file(tmp_path / "gpt2" / "vocab.json")
    with pytest.raises(DataError, match="must hold one of"):
        read_tokenizer_file(tmp_path)
    with pytest.raises(DataError, match="cannot read"):
        read_tokenizer_file(tmp_path / "none")
    with pytest.raises(ConfigError, match="format: must be one of"):
        write_tokenizer_file(spec, tmp_path, format="pickle")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(DataError, match="got an empty file"):
        read_tokenizer_file(tmp_path / "empty")


# --- Damage ----------------------------------------------------------------------------------


def use(data: bytes) -> None:
    """A file either is refused by a message, or reads as something that can be written."""
    try:
        spec = read(data)
    except (DataError, ConfigError) as error:
        assert str(error) and "\n" not in str(error)
        return
    for name in (*WRITERS, "merges.txt", "llmcore"):
        try:
            _bindings.write_tokenizer(spec, name)
        except DataError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("sample", SAMPLES)
def test_truncated_files(sample: str) -> None:
    data = SAMPLES[sample]
    for part in range(64):
        use(data[: len(data) * part // 64])


def mutate(data: bytes, dice: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out))
        match dice.randrange(6):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at] = dice.randrange(256)
            case 2:
                out[at : at + 8] = b"\xff" * 8
            case 3:
                del out[at : at + dice.randint(1, 16)]
            case 4:
                out[at:at] = out[at : at + dice.randint(1, 32)]
            case _:
                words = (b"null", b"1e999", b"-1", b'""', b"[", b"{", b"4294967295", b"\\ud800")
                out[at:at] = dice.choice(words)
        if not out:
            return b""
    return bytes(out)


@pytest.mark.parametrize("sample", SAMPLES)
def test_mutated_files(sample: str) -> None:
    dice = random.Random(sample)
    for _ in range(400):
        use(mutate(SAMPLES[sample], dice))
