"""The shared op benchmark: interleaved rounds, medians, the machine's own copy as the yardstick.

A bench file lists `Contender`s; the table gives time, GB/s over the bytes the op must move, the
percentage of the copy bandwidth measured in the same rounds, and the ratio to the first contender's
baseline. `--json PATH` writes the same rows.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from llmcore.ops import build_info


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One implementation under the clock."""

    group: str
    """What is computed, e.g. `forward float32 16384x1024`: rows of one group compare."""
    name: str
    run: Callable[[], object]
    num_bytes: int
    """Bytes that any implementation must read and write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    group: str
    name: str
    median_ms: float
    gb_per_s: float
    percent_of_copy: float
    speedup: float
    """Baseline's time over this time; the baseline is the last contender of the group."""


def copy_contender(group: str, num_bytes: int) -> Contender:
    """A clone that moves as many bytes as the op, half read and half written.

    Like the op it allocates its result; benchmarks/cpp measures the kernels without that cost.
    """
    source = torch.ones(num_bytes // 8)
    return Contender(group=group, name="clone", run=source.clone, num_bytes=num_bytes)


def measure(contenders: list[Contender], *, rounds: int) -> dict[str, float]:
    """Median seconds of each contender, all of them once per round so that noise hits all alike."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for round_idx in range(rounds + 1):
        for contender in contenders:
            start = time.perf_counter()
            contender.run()
            if round_idx:  # the first round warms up
                times[contender.name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def compare(contenders: list[Contender], *, rounds: int) -> list[Row]:
    """Measure one group with its copy; the last contender is the baseline."""
    group, num_bytes = contenders[0].group, contenders[0].num_bytes
    everyone = [*contenders, copy_contender(group, num_bytes)]
    seconds = measure(everyone, rounds=rounds)
    baseline = seconds[contenders[-1].name]
    return [
        Row(
            group=group,
            name=contender.name,
            median_ms=1e3 * seconds[contender.name],
            gb_per_s=contender.num_bytes / seconds[contender.name] / 1e9,
            percent_of_copy=100 * seconds["clone"] / seconds[contender.name],
            speedup=baseline / seconds[contender.name],
        )
        for contender in everyone
    ]


def print_rows(rows: list[Row]) -> None:
    print(f"{'what':34} {'who':22} {'ms':>9} {'GB/s':>7} {'% copy':>7} {'x base':>7}")
    for row in rows:
        print(
            f"{row.group:34} {row.name:22} {row.median_ms:9.3f} {row.gb_per_s:7.1f} "
            f"{row.percent_of_copy:7.0f} {row.speedup:7.2f}"
        )


def main(groups: Callable[[], list[list[Contender]]]) -> None:
    """Parse the command line, measure every group, print the table and write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = build_info() | {"threads": options.threads, "machine": platform.processor()}
    print(f"isa {facts['cpu_isa']}, {options.threads} threads, torch {facts['torch']}")
    rows = [row for group in groups() for row in compare(group, rounds=options.rounds)]
    print_rows(rows)
    if options.json is not None:
        found = {"facts": facts, "rows": [asdict(row) for row in rows]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
