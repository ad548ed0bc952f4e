"""The loop: counts, rows, hooks in order, clean ends."""

import math
import os
import signal

import pytest

from llmcore.errors import Interrupted, TrainingError
from llmcore.training import fit
from tests.support.toy_run import ToyStream, toy_state, toy_step


class Recorder:
    """A hook that writes down what it is told."""

    def __init__(self, events: list, name: str = "", act=None) -> None:
        self.events, self.name, self.act = events, name, act

    def on_start(self, state):
        self.events.append((self.name, "start", state.step))

    def on_step(self, state, row):
        self.events.append((self.name, "step", row["step"]))
        self.rows = [*getattr(self, "rows", []), dict(row)]
        if self.act is not None:
            self.act(state)

    def on_stop(self, state, status):
        self.events.append((self.name, "stop", status))


def test_it_runs_to_the_last_step_and_counts():
    state, recorder = toy_state(), Recorder([])
    fit(state, toy_step, ToyStream(), [recorder], num_steps=3)
    assert (state.step, state.tokens_seen) == (3, 12)
    assert [row["step"] for row in recorder.rows] == [1, 2, 3]
    assert [row["tokens_seen"] for row in recorder.rows] == [4, 8, 12]
    wanted = {"step", "loss", "lr", "grad_norm", "tokens_per_s", "tokens_seen", "time_s", "rss_mb"}
    assert recorder.rows[0].keys() == wanted
    assert recorder.rows[-1]["time_s"] == state.train_seconds > 0


def test_hooks_start_in_order_and_stop_in_reverse():
    events: list = []
    fit(
        toy_state(),
        toy_step,
        ToyStream(),
        [Recorder(events, "a"), Recorder(events, "b")],
        num_steps=1,
    )
    assert [(name, what) for name, what, _ in events] == [
        ("a", "start"),
        ("b", "start"),
        ("a", "step"),
        ("b", "step"),
        ("b", "stop"),
        ("a", "stop"),
    ]
    assert events[-1][2] == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step(number: signal.Signals):
    def interrupt_in_step_two(state, micro_batches):
        metrics = toy_step(state, micro_batches)
        if state.step == 1:
            os.kill(os.getpid(), number)
        return metrics

    events: list = []
    state = toy_state()
    with pytest.raises(Interrupted) as caught:
        fit(
            state,
            interrupt_in_step_two,
            ToyStream(),
            [Recorder(events)],
            num_steps=9,
            resume_hint="resume with: make",
        )
    assert str(caught.value) == f"{number.name}: stopped after step 2; resume with: make"
    assert state.step == 2
    assert events[-2:] == [("", "step", 2), ("", "stop", "interrupted")]


def test_a_loss_that_is_not_finite_ends_the_run_naming_the_step():
    def broken(state, micro_batches):
        return {**toy_step(state, micro_batches), "loss": math.nan if state.step == 1 else 1.0}

    events: list = []
    with pytest.raises(TrainingError, match="step 2: loss must be finite, got nan"):
        fit(toy_state(), broken, ToyStream(), [Recorder(events)], num_steps=9)
    assert events[-1] == ("", "stop", "failed")


def test_every_hook_is_stopped_when_one_fails():
    def fail(state):
        raise ZeroDivisionError

    events: list = []
    with pytest.raises(ZeroDivisionError):
        fit(
            toy_state(),
            toy_step,
            ToyStream(),
            [Recorder(events, "a"), Recorder(events, "b", fail)],
            num_steps=1,
        )
    assert [event for event in events if event[1] == "stop"] == [
        ("b", "stop", "failed"),
        ("a", "stop", "failed"),
    ]
