"""JSONL rows of instruction tuning and preference alignment, checked line by line."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llmcore.data.chat import Message
from llmcore.errors import DataError

_Row = TypeVar("_Row")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    """A prompt with a better and a worse answer."""

    prompt: tuple[Message, ...]
    """The turns before the answer; the last is the user's."""
    chosen: tuple[Message, ...]
    """The better answer: one assistant message."""
    rejected: tuple[Message, ...]
    """The worse answer: one assistant message."""


def read_conversations(path: str | Path) -> list[tuple[Message, ...]]:
    """Read instruction rows: `{"messages": [{"role": ..., "content": ...}, ...]}` per line.

    Other keys of a row are metadata and are ignored; other keys of a message are an error. Blank
    lines, a UTF-8 byte-order mark and CRLF line ends are accepted.

    Raises:
        DataError: the file is missing, empty or not UTF-8, or a row is malformed; the message
            starts with `path:line`.
    """
    rows = []
    for where, row in _json_rows(path):
        messages = _messages(row, "messages", where)
        if not any(message.role == "assistant" for message in messages):
            raise DataError(f"{where}: messages must hold an assistant turn, got none")
        rows.append(messages)
    return _not_empty(rows, path)


def read_preferences(path: str | Path) -> list[PreferencePair]:
    """Read preference rows: `{"prompt": [messages], "chosen": [message], "rejected": [message]}`.

    `chosen` and `rejected` hold one assistant message each and must differ; `prompt` ends with a
    user message. The same leniency as `read_conversations`.

    Raises:
        DataError: the file is missing, empty or not UTF-8, or a row is malformed; the message
            starts with `path:line`.
    """
    rows = []
    for where, row in _json_rows(path):
        prompt = _messages(row, "prompt", where)
        if prompt[-1].role != "user":
            raise DataError(f"{where}: prompt must end with a user turn, got {prompt[-1].role}")
        chosen, rejected = (_answer(row, field, where) for field in ("chosen", "rejected"))
        if chosen == rejected:
            raise DataError(f"{where}: chosen and rejected must differ, got the same answer")
        rows.append(PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected))
    return _not_empty(rows, path)


def write_conversations(path: str | Path, rows: Iterable[Iterable[Message]]) -> int:
    """Write instruction rows for `read_conversations`, all or nothing.

    Returns:
        The number of rows written.

    Raises:
        DataError: the file cannot be written; an earlier one is untouched.
    """
    return _write_rows(path, ({"messages": _plain(messages)} for messages in rows))


def write_preferences(path: str | Path, rows: Iterable[PreferencePair]) -> int:
    """Write preference rows for `read_preferences`, all or nothing.

    Returns:
        The number of rows written.

    Raises:
        DataError: the file cannot be written; an earlier one is untouched.
    """
    return _write_rows(
        path,
        (
            {
                "prompt": _plain(row.prompt),
                "chosen": _plain(row.chosen),
                "rejected": _plain(row.rejected),
            }
            for row in rows
        ),
    )


def _json_rows(path: str | Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed by the `with` below; only opening may raise
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: must be a readable JSONL file, got: {reason}") from error
    with file:
        for number, raw in enumerate(file, start=1):
            where = f"{path}:{number}"
            line = _decode(raw, where, is_first=number == 1)
            if line.strip():
                yield where, _parse_object(line, where)


def _decode(raw: bytes, where: str, *, is_first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: must be UTF-8, got byte 0x{raw[error.start]:02x} at column {error.start + 1}"
        ) from error


def _parse_object(line: str, where: str) -> Mapping[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: must be one JSON object, got: {error.msg} at column {error.colno}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(f"{where}: must be one JSON object, got: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: must be a JSON object, got {_kind(row)}")
    return row


def _messages(row: Mapping[str, object], field: str, where: str) -> tuple[Message, ...]:
    if field not in row:
        raise DataError(f"{where}: must have the field {field!r}, got {_names(row)}")
    value = row[field]
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: {field} must be a non-empty list, got {_kind(value)}")
    messages = tuple(
        _message(item, f"{where}: {field}[{index}]") for index, item in enumerate(value)
    )
    for index, message in enumerate(messages):
        if message.role == "system" and index > 0:
            raise DataError(f"{where}: {field}[{index}]: a system message must be first")
    return messages


def _message(item: object, where: str) -> Message:
    if not isinstance(item, dict):
        raise DataError(f"{where} must be an object with role and content, got {_kind(item)}")
    if set(item) != {"role", "content"}:
        raise DataError(f"{where} must have exactly role and content, got {_names(item)}")
    role, content = item["role"], item["content"]
    if not isinstance(role, str) or not isinstance(content, str):
        raise DataError(
            f"{where}: role and content must be strings, got {_kind(role)} and {_kind(content)}"
        )
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where}.content must be valid Unicode, got a lone surrogate") from error
    try:
        return Message(role=role, content=content)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _answer(row: Mapping[str, object], field: str, where: str) -> tuple[Message, ...]:
    messages = _messages(row, field, where)
    roles = [message.role for message in messages]
    if roles != ["assistant"]:
        raise DataError(f"{where}: {field} must be one assistant message, got {', '.join(roles)}")
    return messages


def _not_empty(rows: list[_Row], path: str | Path) -> list[_Row]:
    if not rows:
        raise DataError(f"{path}: must hold at least one row, got an empty file")
    return rows


def _names(row: Mapping[str, object]) -> str:
    return ", ".join(sorted(map(repr, row))) or "no field"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an empty list" if not value else "a list"
        case _:
            return "an object"


def _plain(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _write_rows(path: str | Path, rows: Iterable[Mapping[str, object]]) -> int:
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    count = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        os.replace(partial, target)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return count
