"""The weights of a model directory: one safetensors file, or shards with an index."""

import json
from pathlib import Path
from typing import Final

from torch import Tensor

from llmcore.checkpoint import load_tensors
from llmcore.errors import CheckpointError

WEIGHTS_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"


def read_weights(directory: Path) -> dict[str, Tensor]:
    """Every tensor of a model directory by its stored name.

    Raises:
        CheckpointError: no safetensors are there (pickled weights are never opened), or a file is
            missing, damaged, or disagrees with the index.
    """
    if (directory / WEIGHTS_FILE).is_file():
        return load_tensors(directory / WEIGHTS_FILE)
    if (directory / INDEX_FILE).is_file():
        return _read_shards(directory)
    if any(directory.glob("pytorch_model*.bin")):
        raise CheckpointError(
            f"{directory}: weights must be safetensors, got pickled pytorch_model.bin "
            "(which can run code when opened)"
        )
    raise CheckpointError(f"{directory / WEIGHTS_FILE}: no such file")


def _read_shards(directory: Path) -> dict[str, Tensor]:
    weight_map = _read_weight_map(directory / INDEX_FILE)
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        for name, tensor in load_tensors(directory / shard).items():
            if weight_map.get(name) != shard:
                raise CheckpointError(
                    f"{directory / shard}: tensor {name} must be in {weight_map.get(name)} "
                    f"by {INDEX_FILE}, got it here"
                )
            tensors[name] = tensor
    for name, shard in weight_map.items():
        if name not in tensors:
            raise CheckpointError(f"{directory / shard}: tensor {name} is missing")
    return tensors


def _read_weight_map(file: Path) -> dict[str, str]:
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error})") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{file}: weight_map must be an object of file names")
    for shard in weight_map.values():
        # A shard outside the directory would let a downloaded index read any file.
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise CheckpointError(f"{file}: weight_map must name files beside it, got {shard!r}")
    return weight_map
