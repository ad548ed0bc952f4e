"""Files of tokenizers: find, read and write them. The formats themselves are in csrc."""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.chat_files import with_chat_details
from llmcore.tokenizers.whole_file import replacing

METADATA_NAME = "llmcore_tokenizer.json"
"""Lies beside `tokenizer.json` in a directory of ours: what that format has no place for."""

_DIRECTORY_NAMES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_MERGES_NAME = "merges.txt"
_EXTENSIONS = {
    "tiktoken": ".tiktoken",
    "tokenizer.json": ".json",
    "sentencepiece": ".model",
    "gguf": ".gguf",
    "vocab.txt": ".txt",
}
FORMATS = ("llmcore", *_EXTENSIONS, "vocab.json")
"""What `write_tokenizer_file` takes."""


def read_tokenizer_file(
    path: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | None = None,
    end_of_word_suffix: str | None = None,
    lowercase: bool | None = None,
) -> _bindings.TokenizerSpec:
    """Read a tokenizer from a file of any known format, or from a directory that holds one.

    The format is told by the content. In a directory the first of `tokenizer.json`,
    `tokenizer.model`, `vocab.json` and `vocab.txt` is read. Chat templates and the roles of tokens
    come from the files of Hugging Face's layout beside it.

    Args:
        path: The file or directory; `merges.txt` and our metadata are looked for beside it.
        pattern: Split pattern that the file lacks (tiktoken ranks, GGUF): the name of a known one
            ("gpt2", "cl100k_base", "o200k_base", "llama3", "qwen2", ...) or a regular expression.
        special_tokens: Texts and ids, for files that hold none (tiktoken ranks, `vocab.json`).
        end_of_word_suffix: `"</w>"` for a CLIP-style `vocab.json`.
        lowercase: Of a `vocab.txt`; by default whether it has no token with a capital letter.

    Raises:
        DataError: missing, damaged, or in need of what this library lacks.
        ConfigError: an option that is needed is missing, or does not fit.
    """
    file = _file_in(Path(path))
    data = _map(file)
    kind = _bindings.detect_format(data)
    merges = metadata = None
    if kind == "vocab.json":
        merges = _map(_beside(file, _MERGES_NAME))
    elif kind == "tokenizer.json" and (file.parent / METADATA_NAME).is_file():
        metadata = _map(file.parent / METADATA_NAME)
    spec = _bindings.read_tokenizer(
        data,
        str(file),
        pattern=pattern or "",
        special_tokens=None if special_tokens is None else dict(special_tokens),
        merges=merges,
        end_of_word_suffix=end_of_word_suffix or "",
        lowercase=lowercase,
        metadata=metadata,
    )
    if kind != "gguf":  # which holds all of this itself
        ids = {token["content"]: token["id"] for token in spec.added}
        details = with_chat_details(spec.extra, file.parent, ids)
        if details is not None:
            spec.extra = details
    return spec


def write_tokenizer_file(
    spec: _bindings.TokenizerSpec, path: str | os.PathLike[str], *, format: str = "llmcore"
) -> Path:
    """Write a tokenizer; each file appears whole or not at all. Returns the (main) file's path.

    `"llmcore"` writes `tokenizer.json` into the directory `path`, and beside it what that format
    has no place for; `"vocab.json"` writes two files into a directory; the others one file.

    Raises:
        DataError: the format cannot express the tokenizer (the message says why), or the file
            cannot be written.
        ConfigError: no such format.
    """
    target = Path(path)
    if format not in FORMATS:
        raise ConfigError(f"format: must be one of {', '.join(FORMATS)}, got {format!r}")
    if format == "llmcore":
        files = {
            METADATA_NAME: _bindings.write_tokenizer(spec, "llmcore"),
            "tokenizer.json": _bindings.write_tokenizer(spec, "tokenizer.json"),
        }
    elif format == "vocab.json":
        files = {
            _MERGES_NAME: _bindings.write_tokenizer(spec, "merges.txt"),
            "vocab.json": _bindings.write_tokenizer(spec, "vocab.json"),
        }
    else:
        name = target.name
        if target.is_dir():
            target, name = target / "tokenizer", "tokenizer" + _EXTENSIONS[format]
        target = target.parent
        files = {name: _bindings.write_tokenizer(spec, format)}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            _replace(target / name, data)
    except OSError as error:
        raise DataError(f"tokenizer: cannot write {target}: {error.strerror}") from error
    return target / list(files)[-1]


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in _DIRECTORY_NAMES:
        if (path / name).is_file():
            return path / name
    raise DataError(f"tokenizer: {path} must hold one of {', '.join(_DIRECTORY_NAMES)}, got none")


def _beside(file: Path, name: str) -> Path:
    if not (file.parent / name).is_file():
        raise DataError(f"tokenizer: {file} must have {name} beside it, got none")
    return file.parent / name


def _map(file: Path) -> mmap.mmap | bytes:
    """The file's bytes; of a model of many gigabytes only what is read is loaded."""
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                return b""
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DataError(f"tokenizer: cannot read {file}: {error}") from error


def _replace(file: Path, data: bytes) -> None:
    """The file whole or as it was; no file for no data."""
    if not data:
        file.unlink(missing_ok=True)
        return
    with replacing(file) as stream:
        stream.write(data)
