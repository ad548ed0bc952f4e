"""Files that appear whole or not at all; what is written before a failure is removed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes `path`'s place when all went well; else nothing is left of it.

    Args:
        path: Target; its directory is created if missing.

    Raises:
        OSError: the file cannot be written; the target is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.chmod(stream.name, 0o644)  # such files are their owner's alone otherwise
            os.replace(stream.name, path)
        except BaseException:
            os.unlink(stream.name)
            raise
