"""What the tokenizer benchmarks measure, and the lines of the targets table made of it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.support.results import Row

MOST_ROUNDS, LEAST_ROUNDS = 15, 3
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_clock = [CLOCKS["wall"]]


def use_clock(name: str) -> None:
    """`cpu` counts the process's processor time: for one thread, on a machine that others use."""
    _clock[0] = CLOCKS[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the targets table. `met` is None where nothing could be compared."""

    what: str
    ours: str
    theirs: str = "-"
    ratio: float = 0.0
    target: str = ""
    met: bool | None = None


@dataclass(slots=True)
class Report:
    """What one process found."""

    rows: list[Row] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def at_least(self, what: str, ours: str, theirs: str, ratio: float, least: float) -> None:
        self.lines.append(
            Line(
                what=what,
                ours=ours,
                theirs=theirs,
                ratio=ratio,
                target=f">= {least:g}x",
                met=ratio >= least,
            )
        )

    def at_most(self, what: str, ours: str, theirs: str, value: float, target: str, met: bool):
        self.lines.append(
            Line(what=what, ours=ours, theirs=theirs, ratio=value, target=target, met=met)
        )

    def missing(self, what: str, why: str, target: str) -> None:
        """A line that cannot be measured here, and why."""
        self.lines.append(Line(what=what, ours="-", theirs=why, target=target))
        self.gaps.append(f"{what}: {why}")


def take_turns(
    contestants: dict[str, Callable[[], float]], seconds: float, least: int = LEAST_ROUNDS
) -> dict[str, list[float]]:
    """What the contestants, called in turns for about `seconds`, return: their own times."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.perf_counter()
    for turn in range(MOST_ROUNDS):
        if turn >= least and time.perf_counter() - began > seconds:
            break
        for name, run in contestants.items():
            spent[name].append(run())
    return spent


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one call, its result's release not counted."""
    started = _clock[0]()
    result = run()
    spent = _clock[0]() - started
    del result
    return spent


def rows_of(
    phase: str,
    shape: str,
    threads: int,
    size: float,
    spent: dict[str, list[float]],
    extra_mb: dict[str, float] | None = None,
) -> list[Row]:
    """One row per contestant; `size` bytes of text; the speed-up is over the last one."""
    last = statistics.median(list(spent.values())[-1])
    return [
        Row(
            op="tokenizers",
            phase=phase,
            dtype="utf-8",
            shape=shape,
            name=name,
            threads=threads,
            rounds=len(found),
            ms=1e3 * statistics.median(found),
            best_ms=1e3 * min(found),
            num_bytes=size,
            gb_per_s=size / statistics.median(found) / 1e9,
            extra_mb=(extra_mb or {}).get(name, 0.0),
            speedup=last / statistics.median(found),
        )
        for name, found in spent.items()
    ]


def mb_per_s(size: float, seconds: list[float]) -> str:
    return f"{size / statistics.median(seconds) / 1e6:.1f} MB/s"


def ratio(spent: dict[str, list[float]], theirs: str, ours: str) -> float:
    """How many times faster `ours` is, by medians."""
    return statistics.median(spent[theirs]) / statistics.median(spent[ours])


def table(lines: list[Line]) -> str:
    """The targets table in Markdown."""
    verdicts = {True: "yes", False: "NO", None: "not measured"}
    out = ["| what | llmcore | peer | ratio | target | met |", "|---|---|---|---|---|---|"]
    for line in lines:
        shown = f"{line.ratio:.2f}" if line.ratio else "-"
        met = verdicts[line.met] if line.target else "-"
        cells = (line.what, line.ours, line.theirs, shown, line.target or "-", met)
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)
