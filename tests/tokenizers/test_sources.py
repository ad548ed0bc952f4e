"""Texts from memory, files, tables and folders: the same whatever they are packed in."""

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from llmcore.errors import DataError
from llmcore.tokenizers.sources import batches, read_texts

TEXTS = ["one two", "naïve 日本語\n", "", "😀" * 3]


def write(path: Path, field: str = "text") -> Path:
    """`TEXTS` in the layout that the name asks for."""
    lines = "".join(json.dumps({field: text}) + "\n" for text in TEXTS).encode()
    if path.name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table({field: TEXTS, "n": [1] * len(TEXTS)}), path)
    elif path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines))
    elif path.name.endswith(".zst"):
        with pyarrow.output_stream(str(path), compression="zstd") as stream:
            stream.write(lines)
    else:
        path.write_bytes(lines)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "A.JSONL"])
@pytest.mark.parametrize("field", ["text", "content"])
def test_tables(name: str, field: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, field)
    assert list(read_texts(path, text_field=field)) == TEXTS
    assert list(read_texts(str(path), text_field=field)) == TEXTS


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress], ids=["plain", "gz"])
def test_text_files_are_bytes_of_any_kind(pack, tmp_path: Path) -> None:
    data = b"a\xff\xfe b\r\n\0 c"
    path = tmp_path / ("a.txt.gz" if pack is gzip.compress else "a.txt")
    path.write_bytes(pack(data))
    assert list(read_texts(path)) == [data]


def test_a_file_of_no_known_kind_is_text(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(b"plain")
    assert list(read_texts(path)) == [b"plain"]


def test_large_text_files_are_cut_at_line_ends(tmp_path: Path) -> None:
    data = b"".join(b"line %d\n" % i for i in range(400_000))
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    parts = list(read_texts(path))
    assert b"".join(parts) == data
    assert len(parts) > 3
    assert all(part.endswith(b"\n") for part in parts if isinstance(part, bytes))


def test_one_long_line_is_one_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 3_000_000)
    assert [len(part) for part in read_texts(path)] == [3_000_000]


def test_long_rows_of_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": c * 1_500_000}) for c in "abc"]
    path.write_text("\n".join(rows))
    assert [len(text) for text in read_texts(path)] == [1_500_000] * 3


def test_folders_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.txt").write_text("second")
    (tmp_path / "a.md").write_text("first")
    (tmp_path / "c.png").write_text("not text")
    (tmp_path / "z.jsonl").write_text('{"text": "third"}\n\n')
    assert list(read_texts(tmp_path)) == [b"first", b"second", "third"]


def test_paths_among_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    assert list(read_texts(["x", path, b"y"])) == ["x", *TEXTS, b"y"]
    assert [text for batch, _ in batches(["x", path, b"y"]) for text in batch] == [
        "x",
        *TEXTS,
        b"y",
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "a.jsonl",
            b'{"text": "x"}\n{"tex": 1}\n',
            r"a\.jsonl:2 must have a string 'text', got tex",
        ),
        ("a.jsonl", b'{"text": 3}\n', "must have a string 'text'"),
        ("a.jsonl", b"[1]\n", "must have a string 'text', got list"),
        ("a.jsonl", b"{\n", r"a\.jsonl:1 must be JSON"),
        ("a.jsonl", b"[" * 100_000, "must be JSON"),
        ("a.jsonl", b'{"text": "\xff"}', "must be UTF-8"),
        ("a.jsonl.gz", b"not gzip", r"a\.jsonl\.gz must be readable"),
        ("a.txt.gz", gzip.compress(b"x" * 1000)[:20], "must be readable"),
        ("a.txt.zst", b"not zstd", "must be readable"),
        ("a.parquet", b"PAR1", "must be readable"),
    ],
)
def test_damaged_files(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        list(read_texts(path))
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="must have a column 'body', got text, n"):
        list(read_texts(path, text_field="body"))
    pyarrow.parquet.write_table(pyarrow.table({"text": [1]}), path)
    with pytest.raises(DataError, match="must be a string, got int"):
        list(read_texts(path))


def test_what_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wrap it in a list"):
        list(read_texts(tmp_path / "missing"))
    with pytest.raises(DataError, match="wrap it in a list"):
        list(read_texts("some long text\0" * 1000))
    with pytest.raises(DataError, match="must hold files of these kinds"):
        list(read_texts(tmp_path))


@pytest.mark.parametrize("sizes", [[10] * 500_000, [3_000_000, 1, 1], [700_000] * 6])
def test_batches_are_bounded_and_whole(sizes: list[int]) -> None:
    made = list(batches("x" * size for size in sizes))
    assert sum(size for _, size in made) == sum(sizes)
    assert [len(text) for batch, _ in made for text in batch] == sizes
    assert max(size for _, size in made) <= 1_500_000 + max(sizes)
