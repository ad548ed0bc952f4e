"""Nothing for two seconds; then a line or a bar that says how far, how fast, how long yet."""

import io

import pytest
from rich.console import Console

from llmcore.cli.progress import WorkProgress, amount, line_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched(*, terminal: bool, quiet: bool = False) -> tuple[WorkProgress, Clock, io.StringIO]:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    return WorkProgress(quiet=quiet, console=console, clock=clock), clock, out


def test_short_work_shows_nothing() -> None:
    for terminal in (False, True):
        shown, clock, out = watched(terminal=terminal)
        with shown:
            for _ in range(10):
                clock.now += 0.19
                shown.update("reading", 5, 10)
        assert out.getvalue() == ""


def test_lines_every_few_seconds_where_there_is_no_terminal() -> None:
    shown, clock, out = watched(terminal=False)
    with shown:
        for done in range(12):
            shown.update("reading", done * 1_000_000, 12_000_000)
            clock.now += 1
    assert out.getvalue().splitlines() == [
        "reading 5.0 MB of 12.0 MB, 1.0 MB/s, eta 0:07",
        "reading 10.0 MB of 12.0 MB, 1.0 MB/s, eta 0:02",
    ]


def test_a_bar_on_a_terminal_and_a_new_one_for_a_new_label() -> None:
    shown, clock, out = watched(terminal=True)
    with shown:
        shown.update("reading", 0, 10)
        clock.now += 3
        shown.update("reading", 5, 10)
        shown.update("merging", 300, 4096, "tokens")
        clock.now += 1
        shown.update("merging", 600, 4096, "tokens")
    assert "merging" in out.getvalue() and "600 tokens of 4.1k tokens" in out.getvalue()


def test_quiet_is_quiet() -> None:
    shown, clock, out = watched(terminal=False, quiet=True)
    with shown:
        clock.now += 60
        shown.update("reading", 5, 10)
    assert out.getvalue() == ""


def test_lines_without_an_end_in_sight() -> None:
    assert line_of("reading", 1500, 0, 500.0, "B") == "reading 1.5 kB, 500 B/s"
    assert line_of("merging", 0, 10, 0.0, "tokens") == "merging 0 tokens of 10 tokens, 0 tokens/s"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(950, "B", "950 B"), (12_345, "B", "12.3 kB"), (2e9, "B", "2.0 GB"), (1e6, "ids", "1.0M ids")],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text
