"""Show work that takes a while: nothing for two seconds, then how far, how fast, how long yet."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

QUIET_S: Final = 2.0
"""Work that ends within so many seconds shows nothing."""
LINE_INTERVAL_S: Final = 5.0
"""Seconds between lines where standard error is not a terminal."""


class WorkProgress:
    """A bar on a terminal, a line now and then elsewhere; on standard error.

    Use as a context manager and call `update` as often as is handy. A new label starts a new bar
    and a new clock.

    Args:
        quiet: Show nothing at all.
        console: Output; standard error by default.
        clock: Seconds from any start.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        console: "Console | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet
        self._console = console
        self._clock = clock
        self._began = self._label_began = self._shown_at = clock()
        self._label = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "WorkProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, label: str, done: int, total: int, unit: str = "B") -> None:
        """Say how far the work is.

        Args:
            label: What is being done, e.g. "reading".
            done: Units behind us.
            total: Units in all; 0 if nobody knows.
            unit: "B" for bytes, else a word such as "tokens".
        """
        if self._quiet:
            return
        now = self._clock()
        if label != self._label:
            self._label, self._label_began = label, now
            if self._bar is not None and self._task is not None:
                self._bar.remove_task(self._task)
                self._task = None
        if now - self._began < QUIET_S:
            return
        rate = done / max(now - self._label_began, 1e-9)
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True)
        if self._console.is_terminal:
            self._show_bar(done, total, rate, unit)
        elif now - self._shown_at >= LINE_INTERVAL_S:
            self._shown_at = now
            print(line_of(label, done, total, rate, unit), file=self._console.file, flush=True)

    def _show_bar(self, done: int, total: int, rate: int | float, unit: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
        if self._task is None:
            self._task = self._bar.add_task(self._label, total=total or None, text="")
        text = line_of("", done, total, rate, unit)
        self._bar.update(self._task, completed=done, total=total or None, text=text)


def line_of(label: str, done: int, total: int, rate: int | float, unit: str) -> str:
    """One line such as `reading 12.0 MB of 48.0 MB, 6.0 MB/s, eta 0:06`."""
    text = f"{label} {amount(done, unit)}".strip()
    if total:
        text += f" of {amount(total, unit)}"
    text += f", {amount(rate, unit)}/s"
    if total and rate > 0:
        left = round(max(total - done, 0) / rate)
        text += f", eta {left // 60}:{left % 60:02d}"
    return text


def amount(value: int | float, unit: str) -> str:
    """`950 B`, `12.3 kB`, `4.5 MB`; `950 tokens`, `12.3k tokens`."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            number, prefix = f"{value / limit:.1f}", prefix
            return f"{number} {prefix}B" if unit == "B" else f"{number}{prefix} {unit}"
    return f"{value:.0f} {unit}"
