"""The texts that a tokenizer is trained on: from memory, text files, JSONL, Parquet, folders."""

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from llmcore.errors import DataError

TextSource = str | os.PathLike[str] | Iterable[str | bytes | os.PathLike[str]]
"""A file or folder, or an iterable of texts (`str`, `bytes`) and of files and folders (`Path`)."""

TEXT_SUFFIXES = (".txt", ".md", ".py", ".rst")
TABLE_SUFFIXES = (".jsonl", ".parquet")
PACKED_SUFFIXES = (".gz", ".zst")

_BLOCK_BYTES = 1 << 20
_BATCH_CHARS = 1 << 20
_TEXT_TYPES = {str, bytes}
_ROWS = 1024


def read_texts(
    source: TextSource,
    *,
    text_field: str = "text",
    last_safe_cut: Callable[[bytes], int] | None = None,
) -> Iterator[str | bytes]:
    """Yield the texts of `source`, little of it held in memory at a time.

    A `str` or a `Path` is a file, or a folder: its text, JSONL and Parquet files, also `.gz` and
    `.zst`, searched recursively, by sorted path. In an iterable, `str` and `bytes` are texts and a
    `Path` is a file or folder. JSONL rows and Parquet columns give their field `text_field`. Any
    other file is text, of any bytes.

    Args:
        source: See above.
        text_field: Name of the field of JSONL rows and of the column of Parquet files.
        last_safe_cut: Where a block of a large text file may be cut, 0 for nowhere. Without it,
            or where it finds no place, a text file is cut at the last line end of each megabyte.

    Raises:
        DataError: a file is missing or damaged (the message names file and row), or an item is no
            text.
    """
    if isinstance(source, bytes):
        raise DataError("train: source must be texts or a file, got bytes; wrap it in a list")
    if isinstance(source, str | os.PathLike):
        yield from _read_path(Path(source), text_field, last_safe_cut)
        return
    for item in source:
        yield from _read_item(item, text_field, last_safe_cut)


def _read_item(
    item: object, text_field: str, last_safe_cut: Callable[[bytes], int] | None
) -> Iterator[str | bytes]:
    if isinstance(item, str | bytes):
        yield item
    elif isinstance(item, os.PathLike):
        yield from _read_path(Path(item), text_field, last_safe_cut)
    else:
        raise DataError(f"train: source must yield str, bytes or Path, got {_name(item)}")


def _name(item: object) -> str:
    return type(item).__name__


def _read_path(
    path: Path, text_field: str, last_safe_cut: Callable[[bytes], int] | None
) -> Iterator[str | bytes]:
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # too long a name, a zero byte: a text, not a path
        exists = is_folder = False
    if not exists:
        raise DataError(
            f"train: source must be a file or a folder, got {str(path)[:80]!r}, which does not "
            "exist; a text to train on must stand in a list: wrap it in a list"
        )
    for file in _files_under(path) if is_folder else [path]:
        yield from _read_file(file, text_field, last_safe_cut)


def _files_under(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if _kind(p) and p.is_file())
    if not files:
        names = " ".join((*TEXT_SUFFIXES, *TABLE_SUFFIXES))
        raise DataError(f"train: {folder} must hold files of these kinds, got none: {names}")
    return files


def _kind(file: Path) -> str:
    """The suffix that tells what is in the file, without that of its packing; "" for others."""
    name = file.name.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    suffix = Path(name).suffix
    return suffix if suffix in TEXT_SUFFIXES + TABLE_SUFFIXES else ""


def _read_file(
    file: Path, text_field: str, last_safe_cut: Callable[[bytes], int] | None
) -> Iterator[str | bytes]:
    match _kind(file):
        case ".parquet":
            return _read_parquet(file, text_field)
        case ".jsonl":
            return _read_jsonl(file, text_field)
        case _:
            return _read_text(file, last_safe_cut)


def _open(file: Path) -> Any:
    match file.suffix.lower():
        case ".gz":
            return gzip.open(file, "rb")
        case ".zst":
            pyarrow: Any = _pyarrow("reading .zst files")
            return pyarrow.input_stream(str(file), compression="zstd")
        case _:
            return file.open("rb")


def _pyarrow(purpose: str) -> object:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"train: {purpose} needs the package pyarrow, got no such package"
        ) from None
    return pyarrow


def _unreadable(file: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else _name(error)
    return DataError(f"train: {file} must be readable, got: {reason}")


def _read_text(file: Path, last_safe_cut: Callable[[bytes], int] | None) -> Iterator[bytes]:
    block = b""
    try:
        with _open(file) as stream:
            while more := stream.read(_BLOCK_BYTES):
                if len(block) >= _BLOCK_BYTES:
                    cut = last_safe_cut(block) if last_safe_cut else 0
                    cut = cut or block.rfind(b"\n") + 1
                    if cut:
                        yield block[:cut]
                    block = block[cut:]
                block += more
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(file, error) from error
    if block:
        yield block


def _read_jsonl(file: Path, field: str) -> Iterator[str]:
    try:
        with _open(file) as stream:
            # zstd's stream of pyarrow has no lines of its own.
            for number, line in enumerate(_lines(stream), start=1):
                if line.strip():
                    yield _field_of(line, f"{file}:{number}", field)
    except (OSError, EOFError) as error:
        raise _unreadable(file, error) from error


def _lines(stream: Any) -> Iterator[bytes]:
    parts: list[bytes] = []
    while block := stream.read(_BLOCK_BYTES):
        *whole, last = block.split(b"\n")
        if whole:
            yield b"".join([*parts, whole[0]])
            yield from whole[1:]
            parts = []
        parts.append(last)
    if any(parts):
        yield b"".join(parts)


def _field_of(line: bytes, place: str, field: str) -> str:
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        raise DataError(f"train: {place} must be UTF-8, got other bytes") from None
    except (ValueError, RecursionError):
        raise DataError(f"train: {place} must be JSON, got {line[:40]!r}") from None
    text = row.get(field) if isinstance(row, dict) else None
    if not isinstance(text, str):
        got = ", ".join(row) if isinstance(row, dict) else _name(row)
        raise DataError(f"train: {place} must have a string {field!r}, got {got[:200]}")
    return text


def _read_parquet(file: Path, field: str) -> Iterator[str | bytes]:
    pyarrow: Any = _pyarrow("reading Parquet")
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if field not in names:
                raise DataError(
                    f"train: {file} must have a column {field!r}, got {', '.join(names)[:200]}"
                )
            number = 0
            for batch in table.iter_batches(batch_size=_ROWS, columns=[field]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    if not isinstance(text, str | bytes):
                        raise DataError(
                            f"train: {file}:{number} must be a string, got {_name(text)}"
                        )
                    yield text
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def batches(
    source: TextSource,
    *,
    text_field: str = "text",
    last_safe_cut: Callable[[bytes], int] | None = None,
) -> Iterator[tuple[list[str | bytes], int]]:
    """Yield the texts of `source` in lists of about a million characters, with their number."""
    if isinstance(source, str | bytes | os.PathLike):
        items: Iterator[Any] = read_texts(
            source, text_field=text_field, last_safe_cut=last_safe_cut
        )
    else:
        items = iter(source)
    count = 1
    batch: list[str | bytes] = []
    size = 0
    while part := list(islice(items, count)):
        if set(map(type, part)) <= _TEXT_TYPES:
            batch += part
            part_size = sum(map(len, part))
            size += part_size
            # As many at once as make a quarter of a batch, by the length of the last ones.
            count = max(1, min(2 * count, _BATCH_CHARS // 4 * len(part) // (part_size + 1), 8192))
        else:
            texts = (t for item in part for t in _read_item(item, text_field, last_safe_cut))
            for text in texts:
                batch.append(text)
                size += len(text)
                if size >= _BATCH_CHARS:
                    yield batch, size
                    batch, size = [], 0
        if size >= _BATCH_CHARS:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size
