"""A file or directory appears whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmcore.checkpoint import atomic_directory, atomic_file, atomic_write
from llmcore.checkpoint.atomic import TEMP_MARK, remove_leftovers
from llmcore.errors import CheckpointError
from tests.support.full_disk import file_size_limit


def test_text_and_bytes_are_written_and_replaced(tmp_path: Path):
    atomic_write(tmp_path / "a", "é")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9"
    atomic_write(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a"
    atomic_write(path, b"old")
    with file_size_limit(1000), pytest.raises(CheckpointError) as caught:
        atomic_write(path, b"x" * 2000)
    assert str(caught.value) == f"cannot write {path}: File too large"
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_no_space_left_is_told_in_one_line(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught, atomic_file(tmp_path / "a") as temp:
        temp.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(temp))
    assert str(caught.value) == f"cannot write {tmp_path / 'a'}: No space left on device"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory_is_told(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        atomic_write(tmp_path / "a", b"x")


def test_other_errors_pass_and_clean_up(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a") as temp:
        temp.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_replaced_whole(tmp_path: Path):
    target = tmp_path / "deep" / "model"
    for name in ("one", "two"):
        with atomic_directory(target) as temp:
            (temp / "sub").mkdir()
            (temp / "sub" / name).write_text(name)
    assert [path.name for path in target.rglob("*") if path.is_file()] == ["two"]
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_failed_directory_leaves_the_old_one(tmp_path: Path):
    target = tmp_path / "model"
    with atomic_directory(target) as temp:
        (temp / "weights").write_text("old")
    with (
        file_size_limit(1000),
        pytest.raises(CheckpointError, match="File too large"),
        atomic_directory(target) as temp,
    ):
        (temp / "weights").write_bytes(b"x" * 2000)
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path):
    script = (
        "import os, signal, sys\n"
        "from llmcore.checkpoint import atomic_file\n"
        "with atomic_file(sys.argv[1]) as temp:\n"
        "    temp.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=False)
    [leftover] = tmp_path.iterdir()
    assert TEMP_MARK in leftover.name
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_get_the_permissions_of_the_user_not_of_their_writer(tmp_path: Path):
    (tmp_path / "plain").touch()
    expected = (tmp_path / "plain").stat().st_mode
    with atomic_file(tmp_path / "a") as temp:
        temp.write_bytes(b"x")
        temp.chmod(0o600)
    with atomic_directory(tmp_path / "d") as temp:
        (temp / "b").write_bytes(b"x")
        (temp / "b").chmod(0o600)
    assert [(tmp_path / name).stat().st_mode for name in ("a", "d/b")] == [expected, expected]
