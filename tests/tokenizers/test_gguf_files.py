"""GGUF: what is read, what is refused."""

import json
import struct
from typing import Any

import pytest

from llmcore.errors import DataError
from tests.support.tokenizer_files import (
    BPE_TYPE,
    BYTE_LEVEL,
    GGUF_BPE,
    SAMPLES,
    extra,
    gguf_file,
    gguf_text,
    piece_file,
    proto,
    read,
)


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
