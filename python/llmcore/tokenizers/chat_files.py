"""What the files beside a tokenizer say about chats: templates, and which token plays which role.

Hugging Face's layout: `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja` and
`additional_chat_templates/*.jinja`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmcore.errors import DataError

ROLES = ("bos", "eos", "unk", "pad", "sep", "cls", "mask")
"""Templates know their tokens as `bos_token`, `eos_token`, ..."""

DEFAULT_TEMPLATE = "default"

_MAX_CONFIG_BYTES = 1 << 26
_MAX_TEMPLATE_BYTES = 1 << 22
_CONFIG_NAME = "tokenizer_config.json"
_ROLES_NAME = "special_tokens_map.json"
_TEMPLATE_NAME = "chat_template.jinja"
_TEMPLATES_FOLDER = "additional_chat_templates"


def with_chat_details(extra: str, folder: Path, ids: Mapping[str, int]) -> str | None:
    """`extra` of a tokenizer's spec, with what the files in `folder` add; None if nothing.

    Templates beside a tokenizer win over the one in its file; its roles stay.

    Args:
        extra: JSON object, see csrc/tokenizer/formats/README.md.
        folder: Where the tokenizer's file lies.
        ids: Added tokens by their text.

    Raises:
        DataError: one of the files is damaged.
    """
    config = _object(folder / _CONFIG_NAME)
    templates = _templates(folder, config)
    names = {**_object(folder / _ROLES_NAME), **config}
    roles = {}
    for role in ROLES:
        text = _token_text(names.get(f"{role}_token"))
        if text in ids:
            roles[role] = ids[text]
    if not templates and not roles:
        return None
    known: dict[str, Any] = json.loads(extra)
    merged = {**known}
    if roles := {**roles, **known.get("roles", {})}:
        merged["roles"] = roles
    if DEFAULT_TEMPLATE in templates:
        merged["chat_template"] = templates.pop(DEFAULT_TEMPLATE)
    if templates:
        merged["chat_templates"] = templates
    return None if merged == known else json.dumps(merged, ensure_ascii=False)


def _templates(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """Templates by name, the nameless one as "default"."""
    place = f"{folder / _CONFIG_NAME}: chat_template"
    templates: dict[str, str] = {}
    match config.get("chat_template"):
        case None:
            pass
        case str(text):
            templates[DEFAULT_TEMPLATE] = text
        case list(entries):
            for entry in entries:
                match entry:
                    case {"name": str(name), "template": str(text)}:
                        templates[name] = text
                    case _:
                        raise DataError(f"{place}: must be a list of names and templates")
        case other:
            got = type(other).__name__
            raise DataError(f"{place}: must be a text or a list of templates, got {got}")
    if (file := folder / _TEMPLATE_NAME).is_file():
        templates[DEFAULT_TEMPLATE] = _read(file, _MAX_TEMPLATE_BYTES)
    for file in sorted((folder / _TEMPLATES_FOLDER).glob("*.jinja")):
        templates[file.stem] = _read(file, _MAX_TEMPLATE_BYTES)
    return templates


def _token_text(value: Any) -> str:
    """A token's text, given as it is or as an object that describes it."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    text = _read(file, _MAX_CONFIG_BYTES)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{file}: must be JSON, got a damaged file") from None
    if not isinstance(value, dict):
        raise DataError(f"{file}: must be a JSON object, got {type(value).__name__}")
    return value


def _read(file: Path, max_bytes: int) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"tokenizer: cannot read {file}: {error.strerror}") from error
    if len(data) > max_bytes:
        raise DataError(f"{file}: must have at most {max_bytes} bytes, got more")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file}: must be UTF-8, got other bytes") from None
