"""Components of a tokenizer, as callers name them and as `tokenizer.json` writes them."""

import json
from collections.abc import Mapping
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError

Component = str | Mapping[str, Any]
"""A component of `tokenizer.json`: a dict, its JSON, or its bare type (`"NFC"`)."""

NONE = "null"


def component_json(component: Component | None) -> str:
    """A component as JSON text; "null" for None."""
    if component is None:
        return NONE
    if isinstance(component, str):
        text = component.strip()
        return text if text.startswith("{") or text == NONE else _compact({"type": text})
    return _compact(dict(component))


def pre_tokenizer_json(
    pattern: str | None, pre_tokenizer: Component | None, *, byte_level: bool = True
) -> str:
    """The pre-tokenizer that `pattern` or `pre_tokenizer` names, as JSON text.

    For a byte-level vocabulary it ends with `ByteLevel`, which stands for the spelling of bytes in
    `tokenizer.json`; without either argument it is GPT-2's there, and Metaspace for characters.

    Raises:
        ConfigError: both are given.
    """
    if pattern is not None and pre_tokenizer is not None:
        raise ConfigError("train: pattern and pre_tokenizer must not both be given, got both")
    if pre_tokenizer is not None:
        text = component_json(pre_tokenizer)
        if not byte_level or '"ByteLevel"' in text:
            return text
        return _sequence([] if text == NONE else [json.loads(text)])
    if pattern is None:
        return GPT2_SPLIT if byte_level else METASPACE
    known = _bindings.split_pattern(pattern)
    if known is not None and byte_level:
        return known
    if known is None:
        split = {"type": "Split", "pattern": {"Regex": pattern}} | _ISOLATED
        return _sequence([split]) if byte_level else _compact(split)
    parts = json.loads(known).get("pretokenizers", [json.loads(known)])
    if any(part["type"] == "ByteLevel" and part["use_regex"] for part in parts):
        raise ConfigError(
            f"train: pattern must be one for characters, got {pattern!r}, which is for bytes"
        )
    parts = [part for part in parts if part["type"] != "ByteLevel"]
    return _compact({"type": "Sequence", "pretokenizers": parts})


def _sequence(parts: list[Any]) -> str:
    byte_level = json.loads(GPT2_SPLIT) | {"use_regex": False}
    return _compact({"type": "Sequence", "pretokenizers": [*parts, byte_level]})


def _compact(component: Mapping[str, Any]) -> str:
    return json.dumps(component, ensure_ascii=False, separators=(",", ":"))


_ISOLATED = {"behavior": "Isolated", "invert": False}
_METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}

GPT2_SPLIT = _compact(
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
)
BYTE_LEVEL_DECODER = GPT2_SPLIT
BYTE_LEVEL_POST_PROCESSOR = GPT2_SPLIT.replace('"trim_offsets":true', '"trim_offsets":false')
METASPACE = _compact({**_METASPACE, "split": True})
METASPACE_DECODER = METASPACE
METASPACE_BYTES_DECODER = _compact(
    {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
)

SENTENCEPIECE_NORMALIZER = _compact(
    {
        "type": "SentencePiece",
        "precompiled_charsmap": "",
        "add_dummy_prefix": True,
        "remove_extra_whitespaces": True,
        "escape_whitespaces": True,
    }
)
SENTENCEPIECE_SPLIT = _compact(
    {
        "type": "Split",
        "pattern": {"String": "\u2581"},
        "behavior": "MergedWithNext",
        "invert": False,
    }
)
"""Its trainer's words: no piece has U+2581 but at its front."""
SENTENCEPIECE_RUNS_SPLIT = _compact(
    {"type": "Split", "pattern": {"Regex": "\u2581*[^\u2581]+|\u2581+"}} | _ISOLATED
)
"""The same for vocabularies with pieces of several U+2581."""
