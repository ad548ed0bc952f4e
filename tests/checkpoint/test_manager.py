"""The newest few checkpoints, and the newest valid one."""

from pathlib import Path

import pytest
import torch

from llmcore.checkpoint import CheckpointManager, load_checkpoint, save_tensors
from llmcore.checkpoint.manager import print_warning
from llmcore.errors import CheckpointError
from tests.support.full_disk import file_size_limit


def saved(directory: Path, *steps: int, keep_last: int = 3, warn=print_warning):
    manager = CheckpointManager(directory, keep_last=keep_last, warn=warn)
    for step in steps:
        manager.save(step, {"w": torch.full((200,), float(step))}, {"note": [step, "é"]})
    return manager


def flip_bit(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 4
    path.write_bytes(bytes(damaged))


def test_only_the_newest_are_kept(tmp_path: Path):
    manager = saved(tmp_path, 1, 2, 10, keep_last=2)
    assert [path.name for path in manager.paths()] == [
        "step-0000000002.safetensors",
        "step-0000000010.safetensors",
    ]
    checkpoint = manager.latest()
    assert checkpoint.step == 10
    assert checkpoint.json_state["note"] == [10, "é"]
    assert torch.equal(checkpoint.tensors["w"], torch.full((200,), 10.0))


def test_no_checkpoint_is_no_error_and_clear_leaves_none(tmp_path: Path):
    manager = saved(tmp_path / "deep" / "dir", 1)
    manager.clear()
    assert manager.latest() is None


def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path: Path):
    warnings: list[str] = []
    manager = saved(tmp_path, 1, 2, 3, warn=warnings.append)
    flip_bit(manager.paths()[-1])
    manager.paths()[-2].write_bytes(b"short")
    assert manager.latest().step == 1
    assert len(warnings) == 2
    assert "step-0000000003" in warnings[0]
    assert "using step-0000000001" in warnings[0]


def test_all_damaged_is_an_error_naming_the_newest(tmp_path: Path):
    manager = saved(tmp_path, 1, 2)
    for path in manager.paths():
        flip_bit(path)
    with pytest.raises(CheckpointError, match="step-0000000002.safetensors: damaged"):
        manager.latest()


def test_a_save_never_deletes_itself_in_favour_of_damaged_newer_ones(tmp_path: Path):
    manager = saved(tmp_path, 1, 9, keep_last=1)
    flip_bit(manager.paths()[-1])
    manager.save(4, {"w": torch.zeros(1)}, {})
    assert load_checkpoint(tmp_path / "step-0000000004.safetensors").step == 4


def test_a_full_disk_keeps_the_earlier_ones_and_leaves_no_trace(tmp_path: Path):
    manager = saved(tmp_path, 1)
    names = [path.name for path in tmp_path.iterdir()]
    with file_size_limit(500), pytest.raises(CheckpointError) as caught:
        manager.save(2, {"w": torch.zeros(5000)}, {})
    assert "step-0000000002.safetensors: File too large" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == names
    assert manager.latest().step == 1


def test_leftovers_go_when_the_manager_opens(tmp_path: Path):
    (tmp_path / ".step-0000000001.safetensors.tmp-77").write_bytes(b"half")
    CheckpointManager(tmp_path, keep_last=1)
    assert list(tmp_path.iterdir()) == []


def test_tensors_without_a_state_are_no_checkpoint(tmp_path: Path):
    save_tensors(tmp_path / "a.safetensors", {"w": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="not a training checkpoint"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_the_warning_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    print_warning("x is damaged")
    assert capsys.readouterr().err == "llmcore: warning: x is damaged\n"
