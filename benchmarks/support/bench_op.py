"""The shared op benchmark: interleaved rounds, medians, the machine's own copy as the yardstick.

A bench file lists `Contender`s; the table gives time, GB/s over the bytes the op must move, the
percentage of the copy bandwidth measured in the same rounds, and the ratio to the group's last
contender, the baseline. An op bound by arithmetic gives flops in place of bytes and gets GFLOP/s.
`--json PATH` writes the same rows; `--device cuda` measures on a GPU.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.support.contender import Contender
from llmcore.ops import build_info


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    group: str
    name: str
    rounds: int
    median_ms: float
    gb_per_s: float
    gflop_per_s: float
    percent_of_copy: float
    """0 where no bytes were given."""
    speedup: float
    """Baseline's time over this time; the baseline is the last contender of the group."""


def copy_contender(like: Contender) -> Contender:
    """A copy that moves as many bytes as the op, half read and half written.

    It allocates its result where the op does; benchmarks/cpp measures kernels without that cost.
    """
    source = torch.ones(like.num_bytes // 8, device=like.device)
    run, name = source.clone, "clone"
    if not like.allocates:
        run, name = partial(torch.empty_like(source).copy_, source), "copy_"
    return replace(like, name=name, run=run)


def seconds_of(contender: Contender) -> float:
    """Seconds of one call; on a GPU between two events on its stream, so without the launch."""
    if contender.device.type == "cpu":
        start = time.perf_counter()
        contender.run()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    contender.run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def measure(contenders: list[Contender], *, rounds: int, seconds: float) -> list[list[float]]:
    """Times of each contender, all of them once per round so that noise hits all alike.

    Stops after `rounds`, or after `seconds` if three rounds are done.
    """
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:  # warm up
        seconds_of(contender)
    start = time.perf_counter()
    for round_idx in range(rounds):
        if round_idx >= MIN_ROUNDS and time.perf_counter() - start > seconds:
            break
        for contender, found in zip(contenders, times, strict=True):
            found.append(seconds_of(contender))
    return times


def compare(contenders: list[Contender], *, rounds: int, seconds: float) -> list[Row]:
    """Measure one group, with its copy if it has bytes; the last contender is the baseline."""
    everyone = list(contenders)
    if contenders[0].num_bytes:
        everyone.append(copy_contender(contenders[0]))
    times = measure(everyone, rounds=rounds, seconds=seconds)
    medians = [statistics.median(found) for found in times]
    baseline = medians[len(contenders) - 1]
    copied = medians[-1] if contenders[0].num_bytes else 0.0
    return [
        Row(
            group=contender.group,
            name=contender.name,
            rounds=len(times[0]),
            median_ms=1e3 * took,
            gb_per_s=contender.num_bytes / took / 1e9,
            gflop_per_s=contender.num_flops / took / 1e9,
            percent_of_copy=100 * copied / took,
            speedup=baseline / took,
        )
        for contender, took in zip(everyone, medians, strict=True)
    ]


MIN_ROUNDS = 3
HEADER = f"{'what':42} {'who':22} {'ms':>9} {'GB/s':>7} {'% copy':>7} {'GFLOP/s':>8} {'x base':>7}"


def line_of(row: Row) -> str:
    def number(value: float, form: str, width: int) -> str:
        return format(format(value, form) if value else "-", f">{width}")

    return (
        f"{row.group:42} {row.name:22} {row.median_ms:9.3f} {number(row.gb_per_s, '.1f', 7)} "
        f"{number(row.percent_of_copy, '.0f', 7)} {number(row.gflop_per_s, '.1f', 8)} "
        f"{row.speedup:7.2f}"
    )


def parse_options() -> argparse.Namespace:
    """Read the command line; a device that is not there ends the run with one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="limit per group of rows")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("bench: error: --device must be cpu, got cuda: torch finds no GPU", file=sys.stderr)
        raise SystemExit(2)
    return options


def machine_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def main(groups: Callable[[torch.device], Iterable[list[Contender]]]) -> None:
    """Parse the command line, measure every group, print the table and write the JSON.

    `groups` makes the contenders of one group after another, so that one group's tensors live at a
    time.
    """
    options = parse_options()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    facts = build_info() | {
        "device": options.device,
        "machine": machine_of(device),
        "threads": options.threads,
    }
    print(
        f"{facts['machine']}, isa {facts['cpu_isa']}, {options.threads} threads, "
        f"torch {facts['torch']}"
    )
    print(HEADER)
    rows = []
    for group in groups(device):
        found = compare(group, rounds=options.rounds, seconds=options.seconds)
        rows += found
        print("\n".join(map(line_of, found)), flush=True)
    if options.json is not None:
        document = {"facts": facts, "rows": [asdict(row) for row in rows]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
