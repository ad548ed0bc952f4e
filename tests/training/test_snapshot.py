"""A snapshot restored into fresh objects goes on exactly as the old ones do."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from llmcore.checkpoint import CheckpointManager
from llmcore.errors import CheckpointError
from llmcore.optim import AdamW
from llmcore.training import TrainState, restore_snapshot, take_snapshot
from llmcore.training.snapshot import model_tensors
from tests.support.toy_run import LEARNING, ToyStream, toy_state, toy_step


def losses(state: TrainState, stream: ToyStream, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(toy_step(state, next(stream))["loss"])
        state.step += 1
    return found


def stored(tmp_path: Path, state: TrainState, stream: ToyStream):
    snapshot = take_snapshot(state, stream)
    manager = CheckpointManager(tmp_path, keep_last=1)
    manager.save(state.step, snapshot.tensors, snapshot.json_state)
    return manager.latest()


def test_every_generator_counter_and_buffer_comes_back(tmp_path: Path):
    state, stream = toy_state(seed=1), ToyStream()
    losses(state, stream, 4)
    state.tokens_seen, state.train_seconds = 16, 2.5
    checkpoint = stored(tmp_path, state, stream)
    expected = losses(state, stream, 4)

    fresh, fresh_stream = toy_state(seed=2), ToyStream()
    random.seed(2)
    restore_snapshot(checkpoint, fresh, fresh_stream)
    assert (fresh.step, fresh.tokens_seen, fresh.train_seconds) == (4, 16, 2.5)
    version, internal, gauss = checkpoint.json_state["rng_python"]
    assert random.getstate() == (version, tuple(internal), gauss)
    assert losses(fresh, fresh_stream, 4) == expected


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path):
    checkpoint = stored(tmp_path, toy_state(), ToyStream())
    for model, words in (
        (nn.Linear(2, 1), r"'weight' must be \(1, 2\), got \(1, 3\)"),
        (nn.Linear(3, 1, bias=False), "parameters differ from the model's at 'bias'"),
    ):
        other = TrainState(
            model=model,
            optimizer=AdamW(model.named_parameters(), LEARNING),
            generator=torch.Generator(),
        )
        with pytest.raises(CheckpointError, match=words):
            restore_snapshot(checkpoint, other, ToyStream())


def test_tied_weights_are_stored_once():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    assert list(model_tensors(model)) == ["embed.weight"]
