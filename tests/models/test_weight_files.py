"""Sharded weights: the index is checked against the shards, and pickles are never opened."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from llmcore.errors import CheckpointError
from llmcore.models.weight_files import INDEX_FILE, read_weights


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    safetensors.torch.save_file({"b": torch.zeros(3)}, tmp_path / "two.safetensors")
    write_index(tmp_path, {"a": "one.safetensors", "b": "two.safetensors"})
    return tmp_path


def write_index(directory: Path, weight_map: object) -> None:
    (directory / INDEX_FILE).write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_joined(shards: Path) -> None:
    weights = read_weights(shards)
    assert {name: weight.tolist() for name, weight in weights.items()} == {
        "a": [1.0, 1.0],
        "b": [0.0, 0.0, 0.0],
    }


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "one.safetensors"}, None),
        ({"a": "one.safetensors", "b": "gone.safetensors"}, "gone.safetensors: no such file"),
        ({"a": "two.safetensors", "b": "two.safetensors"}, "tensor a is missing"),
        ({"a": "one.safetensors", "b": "one.safetensors"}, "tensor b is missing"),
        ({"c": "one.safetensors"}, "tensor a must be in None"),
        ({"a": "../one.safetensors"}, "must name files beside it, got '../one.safetensors'"),
        ({"a": "/one.safetensors"}, "must name files beside it"),
        ({"a": 3}, "must name files beside it, got 3"),
        ({}, "weight_map must be an object"),
        ([], "weight_map must be an object"),
    ],
)
def test_the_index_is_checked(shards: Path, weight_map: object, message: str | None) -> None:
    write_index(shards, weight_map)
    if message is None:
        assert list(read_weights(shards)) == ["a"]
        return
    with pytest.raises(CheckpointError, match=message):
        read_weights(shards)


def test_index_that_is_not_json(shards: Path) -> None:
    (shards / INDEX_FILE).write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        read_weights(shards)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(CheckpointError, match="must be safetensors, got pickled"):
        read_weights(tmp_path)


def test_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="model.safetensors: no such file"):
        read_weights(tmp_path)
