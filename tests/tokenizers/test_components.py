"""Components by name, pattern and JSON."""

import json

import pytest

from llmcore.errors import ConfigError
from llmcore.tokenizers.components import GPT2_SPLIT, METASPACE, component_json, pre_tokenizer_json


def types(text: str) -> list[str]:
    parsed = json.loads(text)
    return [part["type"] for part in parsed.get("pretokenizers", [parsed])]


def test_a_component_in_three_spellings() -> None:
    assert component_json("NFC") == component_json({"type": "NFC"}) == '{"type":"NFC"}'
    assert component_json('{"type": "NFC"}') == '{"type": "NFC"}'
    assert component_json(None) == component_json("null") == "null"


def test_the_usual_splits() -> None:
    assert pre_tokenizer_json(None, None) == GPT2_SPLIT
    assert pre_tokenizer_json("gpt2", None) == GPT2_SPLIT
    assert pre_tokenizer_json(None, None, byte_level=False) == METASPACE


def test_byte_level_vocabularies_say_so_in_their_split() -> None:
    assert types(pre_tokenizer_json("llama3", None)) == ["Split", "ByteLevel"]
    assert types(pre_tokenizer_json(r"\w+|\W", None)) == ["Split", "ByteLevel"]
    assert types(pre_tokenizer_json(None, "WhitespaceSplit")) == ["WhitespaceSplit", "ByteLevel"]
    assert types(pre_tokenizer_json(None, GPT2_SPLIT)) == ["ByteLevel"]
    assert types(pre_tokenizer_json(None, "null")) == ["ByteLevel"]


def test_characters_are_split_without_it() -> None:
    assert types(pre_tokenizer_json("llama3", None, byte_level=False)) == ["Split"]
    assert types(pre_tokenizer_json("deepseek-v3", None, byte_level=False)) == ["Split"] * 3
    assert types(pre_tokenizer_json(r"\w+|\W", None, byte_level=False)) == ["Split"]
    assert types(pre_tokenizer_json(None, "BertPreTokenizer", byte_level=False)) == [
        "BertPreTokenizer"
    ]


def test_a_split_that_is_for_bytes_alone() -> None:
    with pytest.raises(ConfigError, match="pattern must be one for characters, got 'gpt2'"):
        pre_tokenizer_json("gpt2", None, byte_level=False)


def test_two_splits_at_once() -> None:
    with pytest.raises(ConfigError, match="must not both be given"):
        pre_tokenizer_json("gpt2", "Whitespace")
