"""Read text documents from a directory, a text file, JSONL or Parquet, one at a time."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.parquet

from llmcore.errors import ConfigError, DataError

TEXT_SUFFIXES: Final = (".txt", ".md", ".py", ".rst")
TABLE_SUFFIXES: Final = (".jsonl", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text and where it came from."""

    name: str
    """Path, for a table followed by `:` and the row number from 1."""
    text: str

    @property
    def num_bytes(self) -> int:
        """Length in UTF-8: the unit of bits per byte."""
        return len(self.text.encode())


def read_documents(path: str | Path) -> Iterator[Document]:
    """Yield the documents under `path` in a fixed order; only one is held in memory.

    A directory yields its text, JSONL and Parquet files, searched recursively, by sorted path;
    other files in it are passed over. JSONL needs a string field `text` in every row, Parquet a
    column `text`. Documents without a visible character are left out.

    Raises:
        DataError: missing path, unknown kind of file, no document at all, a binary file, invalid
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
        DataError: one side would be empty.
    """
    if not 0.0 < val_fraction < 1.0:
        raise ConfigError(f"split_documents: val_fraction must be in (0, 1), got {val_fraction}")
    sides: tuple[list[Document], list[Document]] = ([], [])
    for document in documents:
        digest = hashlib.sha256(f"{seed}\n{document.text}".encode()).digest()
        sides[int.from_bytes(digest[:8], "big") < val_fraction * 2**64].append(document)
    train, held_out = sides
    if not train or not held_out:
        raise DataError(
            "split_documents: documents must fill both sides of the split, got "
            f"{len(train)} for training and {len(held_out)} held out"
        )
    return train, held_out


def cut_documents(documents: Iterable[Document], *, max_bytes: int) -> Iterator[Document]:
    """Cut documents longer than `max_bytes` of UTF-8 into pieces at line ends where possible.

    Lets one big text file be split, held out and shuffled like many small ones.
    """
    for document in documents:
        if document.num_bytes <= max_bytes:
            yield document
            continue
        pieces = _pieces(document.text, max_bytes)
        for number, piece in enumerate(pieces, start=1):
            yield Document(name=f"{document.name}#{number}", text=piece)


def _pieces(text: str, max_bytes: int) -> Iterator[str]:
    # A character is at most four bytes, so this many always fit.
    longest_line = max(1, max_bytes // 4)
    piece: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line), longest_line):
            part = line[start : start + longest_line]
            num_bytes = len(part.encode())
            if piece and size + num_bytes > max_bytes:
                yield "".join(piece)
                piece, size = [], 0
            piece.append(part)
            size += num_bytes
    if piece:
        yield "".join(piece)


def _files_under(root: Path) -> list[Path]:
    suffixes = TEXT_SUFFIXES + TABLE_SUFFIXES
    return sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in suffixes)


def _read_file(file: Path) -> Iterator[Document]:
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        return _read_jsonl(file)
    if suffix == ".parquet":
        return _read_parquet(file)
    return iter([Document(name=str(file), text=_read_text(file))])


def _read_text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"documents: {file} must be readable, got {error.strerror}") from error
    return _decode(raw, file, line=None)


def _decode(raw: bytes, file: Path, *, line: int | None) -> str:
    place = f"{file}" if line is None else f"{file}:{line}"
    zero = raw.find(b"\0")
    if zero >= 0:
        raise DataError(
            f"documents: {place} must be text, got a zero byte at offset {zero} (a binary file?)"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"documents: {place} must be UTF-8, got byte 0x{raw[error.start]:02x} "
            f"at offset {error.start} ({error.reason})"
        ) from None


def _read_jsonl(file: Path) -> Iterator[Document]:
    try:
        with file.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                text = _decode(raw, file, line=number)
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
