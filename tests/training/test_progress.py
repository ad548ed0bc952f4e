"""A bar on a terminal, a line every few seconds elsewhere."""

import io
import time

import pytest
from rich.console import Console

from llmcore.training import progress, progress_hook
from llmcore.training.progress import ProgressBar, ProgressLines, format_rate
from tests.support.toy_run import toy_state


def show(hook, *, num_steps: int) -> None:
    state = toy_state()
    hook.on_start(state)
    for step in range(1, num_steps + 1):
        state.step = step
        hook.on_step(state, {"step": step, "loss": 2.5, "tokens_per_s": 12_345.0})
    hook.on_stop(state, "finished")


def test_a_terminal_gets_a_bar_with_speed_and_time_left():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    hook = progress_hook("pretrain", num_steps=4, console=console)
    assert isinstance(hook, ProgressBar)
    show(hook, num_steps=4)
    assert "12.3k tok/s" in file.getvalue()
    assert "4/4" in file.getvalue()
    assert "eta" in file.getvalue()


def test_a_file_gets_few_lines(monkeypatch: pytest.MonkeyPatch):
    clock = iter(float(second) for second in range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file = io.StringIO()
    hook = progress_hook("sft", num_steps=12, console=Console(file=file))
    assert isinstance(hook, ProgressLines)
    show(hook, num_steps=12)
    lines = file.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["5/12", "10/12", "12/12"]
    assert lines[0] == "sft: step 5/12  loss 2.5000  12.3k tok/s  eta 0:07"
    assert progress.LINE_INTERVAL_S == 5.0


@pytest.mark.parametrize(
    ("rate", "text"), [(950.4, "950 tok/s"), (12_345.0, "12.3k tok/s"), (1.25e6, "1.2M tok/s")]
)
def test_rates_are_short(rate: float, text: str):
    assert format_rate(rate) == text
