"""Documents come out whole and in order; what is not text is refused with its place."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from llmcore.data import documents
from llmcore.data.documents import Document, read_documents, split_documents
from llmcore.errors import ConfigError, DataError


def texts(path) -> list[str]:
    return [document.text for document in read_documents(path)]


def test_a_directory_is_read_by_sorted_path(tmp_path):
    (tmp_path / "b.txt").write_text("second", encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("first ü", encoding="utf-8")
    (tmp_path / "c.jsonl").write_text('{"text": "third"}\n\n{"text": "fourth"}\n', encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    assert texts(tmp_path) == ["first ü", "second", "third", "fourth"]
    assert [d.name for d in read_documents(tmp_path)][-1] == f"{tmp_path / 'c.jsonl'}:3"


def test_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = [f"row {i} é" for i in range(700)]
    pyarrow.parquet.write_table(pyarrow.table({"id": list(range(700)), "text": rows}), path)
    assert texts(path) == rows


@pytest.mark.parametrize("line_bytes", [7, 40, 5000])
def test_a_long_text_is_cut_and_nothing_is_lost(tmp_path, monkeypatch, line_bytes):
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 100)
    text = ("ü€😀" * line_bytes)[:line_bytes] + "\n"
    path = tmp_path / "long.txt"
    path.write_text(text * 30, encoding="utf-8")
    parts = texts(path)
    assert "".join(parts) == text * 30
    assert len(parts) > 1
    assert max(len(part.encode()) for part in parts) <= 103


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.txt", b"abc\0def", "offset 3"),
        ("a.txt", b"one line\nab\xff", "0xff at offset 11"),
        ("a.txt", b"ends in the middle \xe2\x82", "offset 19"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', "a.jsonl:2"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": \n', "a.jsonl:2"),
        ("a.jsonl", b'{"text": "ok"}\n{"title": "x"}\n', "title"),
        ("a.jsonl", b"[1]\n", "list"),
        ("a.parquet", b"not a table", "a.parquet"),
        ("a.txt", b"", "no document"),
    ],
)
def test_bad_files_are_refused_with_their_place(tmp_path, name, content, place):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=place) as error:
        texts(path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parquet_file_without_text_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"]}), path)
    with pytest.raises(DataError, match='column "text", got body'):
        texts(path)


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        texts(tmp_path / "nothing")
    with pytest.raises(DataError, match="no document"):
        texts(tmp_path)


def test_only_one_document_is_read_ahead(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [json.dumps({"text": f"row {i}"}) for i in range(3)]
    path.write_text("\n".join([*rows, "not json"]), encoding="utf-8")
    stream = read_documents(path)
    assert next(stream).text == "row 0"


def numbered(count: int) -> list[Document]:
    return [Document(name=str(i), text=f"text {i}") for i in range(count)]


def test_the_split_depends_on_each_text_alone():
    few, many = numbered(200), numbered(400)
    train, held_out = split_documents(many, val_fraction=0.1, seed=3)
    assert {d.name for d in train} | {d.name for d in held_out} == {d.name for d in many}
    assert 20 <= len(held_out) <= 60
    _, held_out_of_few = split_documents(few, val_fraction=0.1, seed=3)
    assert held_out_of_few == [d for d in held_out if int(d.name) < 200]
    _, other_seed = split_documents(many, val_fraction=0.1, seed=4)
    assert other_seed != held_out


def test_copies_fall_on_one_side():
    copies = [Document(name=str(i), text=f"text {i % 50}") for i in range(100)]
    train, held_out = split_documents(copies, val_fraction=0.3)
    assert not {d.text for d in train} & {d.text for d in held_out}


def test_two_documents_are_always_split():
    for seed in range(20):
        train, held_out = split_documents(numbered(2), val_fraction=0.01, seed=seed)
        assert (len(train), len(held_out)) == (1, 1)


def test_a_split_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="at least 2"):
        split_documents(numbered(1), val_fraction=0.1)
    with pytest.raises(ConfigError, match="val_fraction"):
        split_documents(numbered(5), val_fraction=1.0)


def test_bytes_are_utf8():
    assert Document(name="x", text="ü€").num_bytes == 5
