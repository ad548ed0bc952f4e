"""Show a run: a progress bar on a terminal, a line every few seconds elsewhere."""

import time
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llmcore.training.hooks import Hook, MetricsRow, StopStatus
from llmcore.training.state import TrainState

LINE_INTERVAL_S: Final = 5.0
"""Seconds between lines where standard error is not a terminal."""


def progress_hook(label: str, *, num_steps: int, console: Console | None = None) -> Hook:
    """The hook that suits the output: bar for a terminal, plain lines for a file or pipe.

    Args:
        label: Name of the stage.
        num_steps: Steps of the run.
        console: Output; standard error by default.
    """
    console = console or Console(stderr=True)
    if console.is_terminal:
        return ProgressBar(label, num_steps=num_steps, console=console)
    return ProgressLines(label, num_steps=num_steps, console=console)


class ProgressBar:
    """A bar with loss, tokens per second and time left.

    Args:
        label: Name of the stage.
        num_steps: Steps of the run.
        console: Output.
    """

    def __init__(self, label: str, *, num_steps: int, console: Console) -> None:
        self._progress = Progress(
            TextColumn(label),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  {task.fields[rate]}"),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task(label, total=num_steps, loss="-", rate="- tok/s")

    def on_start(self, state: TrainState) -> None:
        """Show the bar at the resumed step."""
        self._progress.start()
        self._progress.update(self._task, completed=state.step)

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Advance."""
        rate = format_rate(row["tokens_per_s"])
        loss = f"{row['loss']:.4f}"
        self._progress.update(self._task, completed=state.step, loss=loss, rate=rate)

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


class ProgressLines:
    """One line every few seconds, and one for the last step.

    Args:
        label: Name of the stage.
        num_steps: Steps of the run.
        console: Output.
    """

    def __init__(self, label: str, *, num_steps: int, console: Console) -> None:
        self._label = label
        self._num_steps = num_steps
        self._console = console
        self._printed_at = 0.0
        self._start = (0.0, 0)

    def on_start(self, state: TrainState) -> None:
        """Start the clock."""
        self._start = (time.monotonic(), state.step)
        self._printed_at = self._start[0]

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Print if the last line is old enough."""
        now = time.monotonic()
        if now - self._printed_at < LINE_INTERVAL_S and state.step != self._num_steps:
            return
        self._printed_at = now
        started_at, start_step = self._start
        seconds_per_step = (now - started_at) / (state.step - start_step)
        left = round(seconds_per_step * (self._num_steps - state.step))
        print(
            f"{self._label}: step {state.step}/{self._num_steps}  loss {row['loss']:.4f}  "
            f"{format_rate(row['tokens_per_s'])}  eta {left // 60}:{left % 60:02d}",
            file=self._console.file,
            flush=True,
        )

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Nothing to clean up."""


def format_rate(tokens_per_s: float) -> str:
    """Tokens per second in at most four digits: `950 tok/s`, `12.3k tok/s`, `1.2M tok/s`."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if tokens_per_s >= limit:
            return f"{tokens_per_s / limit:.1f}{unit} tok/s"
    return f"{tokens_per_s:.0f} tok/s"
