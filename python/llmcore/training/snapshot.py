"""The whole state of a run as tensors and JSON, and back."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmcore.checkpoint import Checkpoint
from llmcore.errors import CheckpointError
from llmcore.training.fit import BatchStream
from llmcore.training.state import TrainState


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Model, optimiser, counters, random states and data position at one step."""

    tensors: dict[str, Tensor]
    json_state: dict[str, Any]


def take_snapshot(state: TrainState, batches: BatchStream[Any]) -> Snapshot:
    """Collect everything that the following steps depend on.

    Args:
        state: Model, optimiser, counters, generator.
        batches: Its position is stored too; tensors in its state are stored as tensors.
    """
    stream = batches.state_dict()
    tensors = _prefixed("model", model_tensors(state.model))
    tensors |= _prefixed("optimizer", state.optimizer.state_tensors())
    tensors |= _prefixed("stream", {k: v for k, v in stream.items() if isinstance(v, Tensor)})
    tensors["rng.torch"] = torch.get_rng_state()
    tensors["rng.generator"] = state.generator.get_state()
    return Snapshot(
        tensors=tensors,
        json_state={
            "step": state.step,
            "tokens_seen": state.tokens_seen,
            "train_seconds": state.train_seconds,
            "stream": {k: v for k, v in stream.items() if not isinstance(v, Tensor)},
            "rng_python": random.getstate(),
            "rng_numpy": _numpy_state(),
        },
    )


def restore_snapshot(checkpoint: Checkpoint, state: TrainState, batches: BatchStream[Any]) -> None:
    """Bring state, data position and random generators back to a checkpoint.

    Args:
        checkpoint: Written from a `Snapshot` of a run with equal model and optimiser shapes.
        state: Changed in place.
        batches: Moved to the stored position.

    Raises:
        CheckpointError: names or shapes do not fit.
    """
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "stream": {}, "rng": {}}
    for name, tensor in checkpoint.tensors.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = tensor
    own = model_tensors(state.model)
    if own.keys() != groups["model"].keys():
        odd = sorted(own.keys() ^ groups["model"].keys())[0]
        raise CheckpointError(f"{checkpoint.path}: parameters differ from the model's at '{odd}'")
    with torch.no_grad():
        for name, tensor in groups["model"].items():
            if own[name].shape != tensor.shape:
                raise CheckpointError(
                    f"{checkpoint.path}: '{name}' must be {tuple(own[name].shape)}, "
                    f"got {tuple(tensor.shape)}"
                )
            own[name].copy_(tensor)
    state.optimizer.load_state_tensors(groups["optimizer"])
    saved = checkpoint.json_state
    state.step = saved["step"]
    state.tokens_seen = saved["tokens_seen"]
    state.train_seconds = saved["train_seconds"]
    batches.load_state_dict({**saved["stream"], **groups["stream"]})
    state.generator.set_state(groups["rng"]["generator"])
    torch.set_rng_state(groups["rng"]["torch"])
    version, internal, gauss = saved["rng_python"]
    random.setstate((version, tuple(internal), gauss))
    _set_numpy_state(saved["rng_numpy"])


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers by name; tied ones once, under their first name."""
    unique: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        unique.setdefault(id(tensor), (name, tensor))
    return dict(unique.values())


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _numpy_state() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)
    inner = state["state"]
    return {**state, "state": {"key": inner["key"].tolist(), "pos": inner["pos"]}}


def _set_numpy_state(saved: dict[str, Any]) -> None:
    inner = saved["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    np.random.set_state({**saved, "state": {"key": key, "pos": inner["pos"]}})
