"""Files and directories that appear whole or not at all."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from llmcore.errors import CheckpointError

TEMP_MARK = ".tmp-"
"""Part of every temporary name; a leftover of a killed process can be told by it."""


def atomic_write(path: str | Path, content: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: Target; its directory must exist.
        content: Bytes, or text that is written as UTF-8.

    Raises:
        CheckpointError: the file cannot be written (disk full, no permission); the old content
            and no temporary file is left.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_file(path) as temp:
        temp.write_bytes(data)


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`.

    Args:
        path: Target; its directory must exist.

    Raises:
        CheckpointError: writing failed; the target is untouched and no temporary file is left.
    """
    path = Path(path)
    temp = _temp_beside(path)
    try:
        temp.touch()
        mode = temp.stat().st_mode
        yield temp
        temp.chmod(mode)  # safetensors writes files that only their owner can read
        _sync(temp)
        os.replace(temp, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise _cannot_write(path, error) from error
    finally:
        temp.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; on success it is synced and renamed to `path`.

    An existing directory at `path` is replaced, contents and all, by two renames.

    Args:
        path: Target directory; its parent is created where it does not exist.

    Raises:
        CheckpointError: writing failed; the target is untouched and nothing temporary is left.
    """
    path = Path(path)
    temp, old = _temp_beside(path), _temp_beside(path).with_suffix(".old")
    try:
        temp.mkdir(parents=True)
        yield temp
        mode = temp.stat().st_mode & 0o666
        for item in sorted(temp.rglob("*")):
            if item.is_file():
                item.chmod(mode)
            _sync(item)
        _sync(temp)
        if path.exists():
            os.replace(path, old)
        os.replace(temp, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise _cannot_write(path, error) from error
    finally:
        for leftover in (temp, old):
            shutil.rmtree(leftover, ignore_errors=True)


def remove_leftovers(directory: str | Path) -> None:
    """Delete temporary files that a killed process left in `directory`."""
    for leftover in Path(directory).glob(f".*{TEMP_MARK}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _temp_beside(path: Path) -> Path:
    return path.parent / f".{path.name}{TEMP_MARK}{os.getpid()}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: Exception) -> CheckpointError:
    reason = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        reason = os.strerror(error.errno)
    for code in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        if os.strerror(code) in reason:
            reason = os.strerror(code)
    return CheckpointError(f"cannot write {path}: {reason}")
