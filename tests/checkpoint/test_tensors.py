"""One file carries the proof of its own content."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from llmcore.checkpoint import load_tensors, load_with_metadata, save_tensors
from llmcore.errors import CheckpointError

TENSORS = {
    "matrix": torch.arange(12.0).reshape(3, 4).t(),
    "scalar": torch.tensor(7),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
    "bytes": torch.arange(8, dtype=torch.uint8),
}


def test_round_trip_of_values_dtypes_and_shapes(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {"note": "é"})
    tensors, notes = load_with_metadata(path, require_checksum=True)
    assert notes == {"format": "pt", "note": "é"}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_other_programs_read_ours_and_we_read_theirs(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)
    assert torch.equal(safetensors.torch.load_file(path)["matrix"], TENSORS["matrix"])
    foreign = {"w": torch.ones(2)}
    safetensors.torch.save_file(foreign, path)
    assert torch.equal(load_tensors(path)["w"], foreign["w"])
    with pytest.raises(CheckpointError, match="checksum is missing"):
        load_tensors(path, require_checksum=True)


def test_every_flipped_bit_is_noticed(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"w": torch.arange(3.0), "b": torch.ones(2)}, {"note": "x"})
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError, match=str(path)):
            load_tensors(path, require_checksum=True)


@pytest.mark.parametrize("num_bytes", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_refused_in_one_line(tmp_path: Path, num_bytes: int):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(CheckpointError) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match="a.safetensors: no such file"):
        load_tensors(tmp_path / "a.safetensors")
