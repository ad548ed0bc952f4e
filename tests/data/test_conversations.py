"""JSONL rows: round trips, leniency, and hostile input refused with file and line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcore.data import (
    Message,
    PreferencePair,
    read_conversations,
    read_preferences,
    write_conversations,
    write_preferences,
)
from llmcore.errors import DataError

USER = Message(role="user", content="2 + 2?")
GOOD = Message(role="assistant", content="4")
BAD = Message(role="assistant", content="fünf 🙂\u2028\n")
PAIR = PreferencePair(prompt=(USER,), chosen=(GOOD,), rejected=(BAD,))
ROW = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
TURN = '{"role": "assistant", "content": "b"}'


def test_conversations_round_trip(tmp_path: Path) -> None:
    rows = [(USER, GOOD), (Message(role="system", content=""), USER, BAD)]
    assert write_conversations(tmp_path / "new" / "sft.jsonl", rows) == 2
    assert read_conversations(tmp_path / "new" / "sft.jsonl") == rows
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["sft.jsonl"]


def test_preferences_round_trip(tmp_path: Path) -> None:
    assert write_preferences(tmp_path / "dpo.jsonl", [PAIR]) == 1
    assert read_preferences(tmp_path / "dpo.jsonl") == [PAIR]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "sft.jsonl"
    write_conversations(target, [(USER, GOOD)])
    before = target.read_bytes()

    def rows() -> object:
        yield (USER, BAD)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_conversations(target, rows())
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_unwritable_target_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file" / "sft.jsonl", tmp_path):
        with pytest.raises(DataError, match="cannot write .*: (Not|Is) a directory|File exists"):
            write_conversations(target, [(USER, GOOD)])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *args, **kwargs: open_file("/dev/full", *args, **kwargs)
    )
    with pytest.raises(DataError, match="cannot write .*: No space left on device"):
        write_conversations(tmp_path / "sft.jsonl", [(USER, GOOD)])
    assert not list(tmp_path.iterdir())


def test_byte_order_mark_crlf_blank_lines_and_metadata_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "sft.jsonl"
    tagged = ROW[:-1] + ', "skill": "sum"}'
    path.write_bytes(b"\xef\xbb\xbf" + f"{ROW}\r\n\r\n{tagged}\r\n".encode())
    assert len(read_conversations(path)) == 2


def _message_row(item: str) -> str:
    return f'{{"messages": [{item}]}}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "must be one JSON object"),
        ("[1]", "must be a JSON object, got a list"),
        ("null", "must be a JSON object, got null"),
        ("NaN", "must be a JSON object, got a number"),
        ("[" * 100_000, "must be one JSON object"),
        ('{"a": ' + "9" * 5000 + "}", "must be one JSON object"),
        ("{}", "must have the field 'messages', got no field"),
        ('{"message": []}', "must have the field 'messages', got 'message'"),
        ('{"messages": {}}', "messages must be a non-empty list, got an object"),
        ('{"messages": []}', "messages must be a non-empty list, got an empty list"),
        ('{"messages": null}', "messages must be a non-empty list, got null"),
        (_message_row('"hi"'), r"messages\[0\] must be an object with role and content"),
        (_message_row('{"role": "user"}'), "must have exactly role and content, got 'role'"),
        (_message_row(TURN[:-1] + ', "weight": 0}'), "exactly role and content"),
        (_message_row('{"role": "user", "content": 3}'), "must be strings, got a string and a n"),
        (_message_row('{"role": null, "content": "x"}'), "must be strings, got null"),
        (_message_row('{"role": "human", "content": "x"}'), "role must be one of"),
        (_message_row('{"role": "user", "content": "\\ud800"}'), "lone surrogate"),
        (_message_row('{"role": "user", "content": "x"}'), "must hold an assistant turn"),
        (
            _message_row(TURN + ', {"role": "system", "content": "x"}'),
            r"messages\[1\]: a system message must be first",
        ),
    ],
)
def test_malformed_rows_name_file_line_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "sft.jsonl"
    path.write_text(f"{ROW}\n\n{line}\n")
    with pytest.raises(DataError, match=reason) as error:
        read_conversations(path)
    assert str(error.value).startswith(f"{path}:3: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": []}, "prompt must be a non-empty list"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "prompt must end with a user turn"),
        ({"chosen": [{"role": "user", "content": "x"}]}, "chosen must be one assistant message"),
        ({"rejected": "no"}, "rejected must be a non-empty list, got a string"),
        ({"rejected": [{"role": "assistant", "content": "4"}]}, "chosen and rejected must differ"),
    ],
)
def test_malformed_pairs_name_file_line_and_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    path = tmp_path / "dpo.jsonl"
    write_preferences(path, [PAIR])
    row = json.loads(path.read_text()) | change
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=reason) as error:
        read_preferences(path)
    assert str(error.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    for read in (read_conversations, read_preferences):
        with pytest.raises(DataError, match="at least one row"):
            read(path)


@pytest.mark.parametrize("read", [read_conversations, read_preferences])
def test_missing_binary_and_directory_are_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    (tmp_path / "binary.jsonl").write_bytes(b"\x7fELF\x02\xff\xfe")
    for path, reason in [
        (tmp_path / "missing.jsonl", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "binary.jsonl", "must be UTF-8, got byte 0xff at column 6"),
    ]:
        with pytest.raises(DataError, match=reason):
            read(path)
