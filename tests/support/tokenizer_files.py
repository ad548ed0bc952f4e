"""Small tokenizer files of every format, made by hand."""

import base64
import json
import struct
from typing import Any

from llmcore import _bindings

WRITERS = ("tiktoken", "tokenizer.json", "sentencepiece", "gguf", "vocab.txt", "vocab.json")


NEITHER = {"type": "NFC"}, {"type": "Whitespace"}


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
