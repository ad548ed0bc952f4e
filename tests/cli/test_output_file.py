"""Files of ids are read back as they were."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from llmcore.cli.output_file import id_writer, read_ids
from llmcore.tokenizers.whole_file import replacing


def write(path: Path, *texts: list[list[int]]) -> None:
    """Each text comes in parts."""
    with replacing(path) as stream:
        writer = id_writer(stream, path.name, as_json=False)
        for parts in texts:
            for part in parts:
                writer.add(np.array(part, np.uint32))
            writer.end_text()
        writer.finish()


@pytest.mark.parametrize("name", ["ids.npy", "ids.bin", "ids.NPY"])
def test_arrays(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, [[1, 2**32 - 1], []], [], [[7]])
    ids = read_ids(tmp_path / name)
    assert ids.dtype == np.uint32 and ids.tolist() == [1, 2**32 - 1, 7]


def test_text_and_json_have_a_line_per_text(tmp_path: Path) -> None:
    write(tmp_path / "ids.txt", [[1, 2], [3]], [[]], [[4]])
    assert (tmp_path / "ids.txt").read_text() == "1 2 3\n\n4\n"
    write(tmp_path / "ids.jsonl", [[1, 2], [3]], [[]], [[4]])
    rows = [json.loads(line) for line in (tmp_path / "ids.jsonl").read_text().splitlines()]
    assert rows == [[1, 2, 3], [], [4]]


@pytest.mark.parametrize("name", ["ids.txt", "ids.jsonl", "ids.npy"])
def test_whole_texts_at_once_are_the_same_file(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, [[1, 2]], [[]], [[3]])
    with replacing(tmp_path / "other") as stream:
        writer = id_writer(stream, name, as_json=False)
        writer.add_texts(np.array([1, 2, 3], np.uint32), np.array([0, 2, 2, 3]))
        writer.finish()
    assert (tmp_path / "other").read_bytes() == (tmp_path / name).read_bytes()


def test_json_on_a_stream() -> None:
    stream = io.BytesIO()
    writer = id_writer(stream, "", as_json=True)
    writer.add(np.array([5, 6], np.uint32))
    writer.end_text()
    writer.finish()
    assert stream.getvalue() == b"[5, 6]\n"


@pytest.mark.parametrize(
    ("name", "content"), [("a.npy", b"\x93NUMPY\x01\x00"), ("a.npy", b""), ("a.bin", b"12345")]
)
def test_damaged_arrays_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OSError, match="must h|must be"):
        read_ids(tmp_path / name)
