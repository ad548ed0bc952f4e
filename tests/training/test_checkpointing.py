"""When checkpoints are made, and who may go on from them."""

import dataclasses
from pathlib import Path

import pytest

from llmcore.checkpoint import CheckpointManager
from llmcore.errors import CheckpointError, ConfigError
from llmcore.optim import OptimConfig
from llmcore.training import CheckpointHook, TrainConfig, fit, resume
from tests.support.full_disk import file_size_limit
from tests.support.toy_run import ToyConfig, ToyStream, toy_state, toy_step


def train(directory: Path, *, num_steps: int, every: int, keep_last: int = 9, step=toy_step):
    manager = CheckpointManager(directory, keep_last=keep_last)
    stream = ToyStream()
    hook = CheckpointHook(manager, stream, config=ToyConfig(), every=every)
    fit(toy_state(), step, stream, [hook], num_steps=num_steps)
    return manager


def steps_of(manager: CheckpointManager) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in manager.paths()]


def test_every_few_steps_and_the_last(tmp_path: Path):
    assert steps_of(train(tmp_path, num_steps=7, every=3)) == [3, 6, 7]


def test_after_an_error_nothing_is_saved_and_the_earlier_ones_stay(tmp_path: Path):
    def broken(state, micro_batches):
        metrics = toy_step(state, micro_batches)
        return {**metrics, "loss": float("nan")} if state.step == 4 else metrics

    with pytest.raises(RuntimeError, match="step 5"):
        train(tmp_path, num_steps=7, every=2, step=broken)
    assert steps_of(CheckpointManager(tmp_path, keep_last=9)) == [2, 4]


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_the_earlier_ones(tmp_path: Path):
    train(tmp_path, num_steps=2, every=2)
    with file_size_limit(2000), pytest.raises(CheckpointError) as caught:
        train(tmp_path, num_steps=4, every=3)
    assert "step-0000000003.safetensors: File too large" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000002.safetensors"]


def test_resume_goes_to_the_newest_and_tells_whether_there_was_one(tmp_path: Path):
    manager = CheckpointManager(tmp_path, keep_last=1)
    state, stream = toy_state(), ToyStream()
    assert not resume(manager, state, stream, config=ToyConfig())
    train(tmp_path, num_steps=5, every=5)
    assert resume(manager, state, stream, config=ToyConfig())
    assert (state.step, stream.count) == (5, 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "other"}, "data must be '' as in"),
        ({"optim": OptimConfig(peak_lr=0.1, warmup_steps=2)}, "optim.peak_lr must be 0.05 as in"),
        ({"train": TrainConfig(num_steps=13)}, "train.num_steps must be 12 as in"),
    ],
)
def test_another_config_is_refused_naming_the_field(tmp_path: Path, change: dict, words: str):
    manager = train(tmp_path, num_steps=1, every=1)
    config = dataclasses.replace(ToyConfig(), **change)
    with pytest.raises(ConfigError, match=words):
        resume(manager, toy_state(), ToyStream(), config=config)


def test_bookkeeping_fields_may_change(tmp_path: Path):
    manager = train(tmp_path, num_steps=1, every=1)
    config = ToyConfig(train=TrainConfig(num_steps=12, checkpoint_every=7, log_every=3))
    assert resume(manager, toy_state(), ToyStream(), config=config)
