"""The ways to write ids into a file."""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.uint32]

Stream = Any
"""A binary file, in whichever of its classes."""

_NPY_HEADER_BYTES = 128
"""Of one axis of any length."""


class TextWriter:
    """Ids as decimal numbers, one line per text: with spaces between, or as JSON lists."""

    def __init__(self, stream: Stream, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._is_first = True

    def add(self, ids: "Ids") -> None:
        """More ids of the current text."""
        if not len(ids):
            return
        separator = ", " if self._as_json else " "
        start = separator
        if self._is_first:
            start = "[" if self._as_json else ""
            self._is_first = False
        numbers = json.dumps(ids.tolist())[1:-1]
        self._stream.write((start + numbers.replace(", ", separator)).encode())

    def add_texts(self, ids: "Ids", offsets: Any) -> None:
        """Whole texts: text i is `ids[offsets[i]:offsets[i + 1]]`."""
        flat, ends = ids.tolist(), offsets.tolist()
        texts = (flat[begin:end] for begin, end in itertools.pairwise(ends))
        if self._as_json:
            lines = [f"{text}\n" for text in texts]
        else:
            lines = [" ".join(map(str, text)) + "\n" for text in texts]
        self._stream.write("".join(lines).encode())

    def end_text(self) -> None:
        """The current text is over."""
        if self._as_json:
            self._stream.write(b"[]" if self._is_first else b"]")
        self._stream.write(b"\n")
        self._is_first = True

    def finish(self) -> None:
        """There is no other text."""
        self._stream.flush()


class ArrayWriter:
    """Ids of all texts end to end, as little-endian uint32: a NumPy file, or no header at all."""

    def __init__(self, stream: Stream, *, is_npy: bool) -> None:
        self._stream = stream
        self._is_npy = is_npy
        self._num_ids = 0
        if is_npy:
            stream.write(bytes(_NPY_HEADER_BYTES))

    def add(self, ids: "Ids") -> None:
        """More ids of the current text."""
        self._stream.write(ids.astype("<u4", copy=False).tobytes())
        self._num_ids += len(ids)

    def add_texts(self, ids: "Ids", offsets: Any) -> None:
        """Whole texts, end to end."""
        self.add(ids)

    def end_text(self) -> None:
        """Texts are not told apart."""

    def finish(self) -> None:
        """Write the header, now that the number of ids is known."""
        if not self._is_npy:
            return
        from numpy.lib import format as npy

        header: dict[str, Any] = {"descr": "<u4", "fortran_order": False}
        self._stream.seek(0)
        npy.write_array_header_1_0(self._stream, header | {"shape": (self._num_ids,)})
        if self._stream.tell() != _NPY_HEADER_BYTES:
            raise AssertionError("the header of a NumPy file has another size")


IdWriter = TextWriter | ArrayWriter


def id_writer(stream: Stream, name: str, *, as_json: bool) -> IdWriter:
    """The writer for a file called `name`: `.npy`, `.bin`, or text."""
    match Path(name).suffix.lower():
        case ".npy":
            return ArrayWriter(stream, is_npy=True)
        case ".bin":
            return ArrayWriter(stream, is_npy=False)
    return TextWriter(stream, as_json=as_json or name.lower().endswith(".jsonl"))


def read_ids(path: Path) -> "Ids":
    """Ids that an `ArrayWriter` wrote.

    Raises:
        OSError: the file cannot be read, or is no such file.
    """
    import numpy as np

    if path.suffix.lower() == ".npy":
        try:
            ids = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise OSError(None, f"must be a NumPy file, got {error}", str(path)) from error
        return np.asarray(ids)
    if path.stat().st_size % 4:
        raise OSError(None, "must hold 4 bytes per id, got a part of one", str(path))
    return np.fromfile(path, "<u4")
