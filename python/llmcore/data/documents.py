"""Read text documents from a directory, a text file, JSONL or Parquet, one at a time."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.parquet

from llmcore.errors import ConfigError, DataError

TEXT_SUFFIXES: Final = (".txt", ".md", ".py", ".rst")
TABLE_SUFFIXES: Final = (".jsonl", ".parquet")

MAX_TEXT_BYTES: Final = 32_768
"""A longer text file becomes several documents, so that one big file can be shuffled and split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text and where it came from."""

    name: str
    """Path; `:` and the row of a table, or `#` and the part of a long text, from 1."""
    text: str

    @property
    def num_bytes(self) -> int:
        """Length in UTF-8: the unit of bits per byte."""
        return len(self.text.encode())


def read_documents(path: str | Path) -> Iterator[Document]:
    """Yield the documents under `path` in a fixed order, few held in memory at a time.

    A directory yields its text, JSONL and Parquet files, searched recursively, by sorted path;
    other files in it are passed over. A single file of another kind is read as text. JSONL needs a
    string field `text` in every row, Parquet a column `text`. Blank documents are left out.

    Raises:
        DataError: missing path, no document at all, a binary file, invalid
            UTF-8, a row without text. The message names file and byte offset or line.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"documents: {root} must exist, got no such file or directory")
    files = _files_under(root) if root.is_dir() else [root]
    found = False
    for file in files:
        for document in _read_file(file):
            if document.text.strip():
                found = True
                yield document
    if not found:
        raise DataError(f"documents: {root} must hold text, got no document that is not empty")


def split_documents(
    documents: Iterable[Document], *, val_fraction: float, seed: int = 0
) -> tuple[list[Document], list[Document]]:
    """Split into (train, validation) by a hash of each document's text.

    Equal texts fall on the same side, so that no copy of a held-out document is trained on, and a
    document's side does not depend on which others are there.

    Raises:
        ConfigError: `val_fraction` is not between 0 and 1.
        DataError: fewer than two documents.
    """
    if not 0.0 < val_fraction < 1.0:
        raise ConfigError(f"split_documents: val_fraction must be in (0, 1), got {val_fraction}")
    sides: tuple[list[Document], list[Document]] = ([], [])
    for document in documents:
        digest = hashlib.sha256(f"{seed}\n{document.text}".encode()).digest()
        sides[int.from_bytes(digest[:8], "big") < val_fraction * 2**64].append(document)
    train, held_out = sides
    if len(train) + len(held_out) < 2:
        raise DataError(
            "split_documents: documents must be at least 2, one of them to hold out, got "
            f"{len(train) + len(held_out)}"
        )
    # Few documents can all fall on one side: then the shortest changes over.
    if not held_out or not train:
        full, empty = (train, held_out) if train else (held_out, train)
        shortest = min(range(len(full)), key=lambda i: (full[i].num_bytes, full[i].name))
        empty.append(full.pop(shortest))
    return train, held_out


def _files_under(root: Path) -> list[Path]:
    suffixes = TEXT_SUFFIXES + TABLE_SUFFIXES
    return sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in suffixes)


def _read_file(file: Path) -> Iterator[Document]:
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        return _read_jsonl(file)
    if suffix == ".parquet":
        return _read_parquet(file)
    return _read_text(file)


def _read_text(file: Path) -> Iterator[Document]:
    """One document per `MAX_TEXT_BYTES` of a text file, cut at line ends."""
    lines: list[str] = []
    size = number = 0
    for line in _lines(file):
        if lines and size + len(line.encode()) > MAX_TEXT_BYTES:
            number += 1
            yield Document(name=f"{file}#{number}", text="".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line.encode())
    name = f"{file}#{number + 1}" if number else str(file)
    yield Document(name=name, text="".join(lines))


def _lines(file: Path) -> Iterator[str]:
    """Decoded lines; one longer than `MAX_TEXT_BYTES` comes in pieces."""
    offset = 0
    try:
        with file.open("rb") as source:
            while raw := source.readline(MAX_TEXT_BYTES):
                # A cut may fall inside a character: take the rest of it along.
                while len(raw) >= MAX_TEXT_BYTES and (more := _continuation(source)):
                    raw += more
                yield _decode(raw, str(file), offset=offset)
                offset += len(raw)
    except OSError as error:
        raise DataError(f"documents: {file} must be readable, got {error.strerror}") from error


def _continuation(source: BufferedReader) -> bytes:
    ahead = source.peek(1)[:1]
    return source.read(1) if ahead and ahead[0] & 0xC0 == 0x80 else b""


def _decode(raw: bytes, place: str, *, offset: int = 0) -> str:
    zero = raw.find(b"\0")
    if zero >= 0:
        raise DataError(
            f"documents: {place} must be text, got a zero byte at offset {offset + zero} "
            "(a binary file?)"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"documents: {place} must be UTF-8, got byte 0x{raw[error.start]:02x} "
            f"at offset {offset + error.start} ({error.reason})"
        ) from None


def _read_jsonl(file: Path) -> Iterator[Document]:
    try:
        with file.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                text = _decode(raw, f"{file}:{number}")
                if text.strip():
                    yield Document(name=f"{file}:{number}", text=_text_field(text, file, number))
    except OSError as error:
        raise DataError(f"documents: {file} must be readable, got {error.strerror}") from error


def _text_field(line: str, file: Path, number: int) -> str:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"documents: {file}:{number} must be JSON, got {error.msg} at column {error.colno}"
        ) from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        keys = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise DataError(f'documents: {file}:{number} must have a string "text", got {keys}')
    text: str = row["text"]
    return text


def _read_parquet(file: Path) -> Iterator[Document]:
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if "text" not in names:
                raise DataError(
                    f'documents: {file} must have a column "text", got {", ".join(names)}'
                )
            number = 0
            for batch in table.iter_batches(batch_size=256, columns=["text"]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    if not isinstance(text, str):
                        raise DataError(
                            f"documents: {file}:{number} must be a string, got {text!r:.40}"
                        )
                    yield Document(name=f"{file}:{number}", text=text)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"documents: {file} must be a Parquet file, got: {reason}") from error
