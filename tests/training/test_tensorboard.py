"""Rows become scalars that TensorBoard itself reads back."""

from pathlib import Path

import pytest

from llmcore.training import TensorBoardHook
from tests.support.toy_run import toy_state


def write_steps(directory: Path, first: int, last: int, *, every: int = 1) -> None:
    hook = TensorBoardHook(directory, every=every)
    state = toy_state()
    state.step = first - 1
    hook.on_start(state)
    for step in range(first, last + 1):
        state.step = step
        hook.on_step(state, {"step": step, "loss": float(step)})
    hook.on_stop(state, "finished")


def scalars(directory: Path) -> list[tuple[int, float]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(directory))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_scalars_are_read_back(tmp_path: Path):
    write_steps(tmp_path, 1, 4, every=2)
    assert scalars(tmp_path) == [(2, 2.0), (4, 4.0)]


def test_a_resume_voids_the_steps_after_it(tmp_path: Path):
    write_steps(tmp_path, 1, 4)
    write_steps(tmp_path, 3, 3)
    assert [step for step, _ in scalars(tmp_path)] == [1, 2, 3]
