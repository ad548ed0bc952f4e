"""The shared op benchmark: interleaved rounds, medians, the machine's own limits as yardstick.

A bench file lists `Contender`s. The table gives time, GB/s over the bytes the op must move, GFLOP/s
over the operations it must do, the percentage of its limit, the memory that a call adds to its
arguments and its result (`extra MB`: of a backward, the gradients are the result), and the ratio
to the group's last contender, the baseline. A limit by memory is a copy (or a read) of as
many bytes in the same rounds; one by arithmetic is the peak of the machine's instructions, see
`machine.peaks`. `--json PATH` writes the same rows; `--device cuda` measures on a GPU.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.support import results
from benchmarks.support.contender import Contender
from benchmarks.support.machine import Peak, extra_memory, facts, peaks
from benchmarks.support.results import Row

MIN_ROUNDS = 3
SHORTEST_SAMPLE_S = 2e-4
"""A faster call is repeated until a sample lasts so long."""


def memory_contender(like: Contender) -> Contender:
    """A copy (half read, half written) or a read of as many bytes as the op moves.

    The copy allocates its result where the op does; benchmarks/cpp measures without that cost.
    """
    if like.bound() == "read":
        source = torch.ones(max(1, like.num_bytes // 4), device=like.device)
        # The reduction that comes nearest to the C++ read, of those that torch has.
        return replace(like, name="read", run=partial(torch.linalg.vector_norm, source))
    source = torch.ones(max(1, like.num_bytes // 8), device=like.device)
    run, name = source.clone, "clone"
    if not like.allocates:
        run, name = partial(torch.empty_like(source).copy_, source), "copy_"
    return replace(like, name=name, run=run)


def seconds_of(contender: Contender, repeats: int = 1) -> float:
    """Seconds of one call; on a GPU between two events on its stream, so without the launch."""
    if contender.device.type == "cpu":
        start = time.perf_counter()
        for _ in range(repeats):
            contender.run()
        return (time.perf_counter() - start) / repeats
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        contender.run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / repeats


def repeats_of(contender: Contender) -> int:
    """Find how many calls make a sample; the contender is warm."""
    return math.ceil(min(1e4, SHORTEST_SAMPLE_S / max(seconds_of(contender), 1e-9)))


def measure(contenders: list[Contender], *, rounds: int, seconds: float) -> list[list[float]]:
    """Times of each contender, all of them once per round so that noise hits all alike.

    Stops after `rounds`, or after `seconds` if three rounds are done.
    """
    times: list[list[float]] = [[] for _ in contenders]
    repeats = [repeats_of(contender) for contender in contenders]
    start = time.perf_counter()
    for round_idx in range(rounds):
        if round_idx >= MIN_ROUNDS and time.perf_counter() - start > seconds:
            break
        for contender, count, found in zip(contenders, repeats, times, strict=True):
            found.append(seconds_of(contender, count))
    return times


def compare(
    contenders: list[Contender],
    *,
    op: str,
    threads: int,
    rounds: int,
    seconds: float,
    peak_of: dict[str, Peak],
) -> list[Row]:
    """Measure one group, with its copy or read if that bounds it; the last contender is the
    baseline."""
    everyone = list(contenders)
    by_memory = contenders[0].bound() != "flops" and contenders[0].num_bytes > 0
    if by_memory:
        everyone.append(memory_contender(contenders[0]))
    for contender in everyone:  # warm up
        seconds_of(contender)
    on_cpu = contenders[0].device.type == "cpu"
    extra = [
        extra_memory(contender.run, allocates=contender.allocates) if on_cpu else 0
        for contender in everyone
    ]
    times = measure(everyone, rounds=rounds, seconds=seconds)
    medians = [statistics.median(found) for found in times]
    baseline = medians[len(contenders) - 1]
    rows = []
    for contender, took, found, added in zip(everyone, medians, times, extra, strict=True):
        words = results.words_of(contender.group, op)
        limit, least_s = contender.bound(), medians[-1] if by_memory else 0.0
        if limit == "flops" and contender.num_flops:
            peak = peak_of.get(words["dtype"], peak_of["float32"])
            limit, least_s = peak.name, contender.num_flops / peak.flops_per_s
        rows.append(
            Row(
                **words,
                name=contender.name,
                threads=threads,
                rounds=len(found),
                ms=1e3 * took,
                best_ms=1e3 * min(found),
                num_bytes=contender.num_bytes,
                num_flops=contender.num_flops,
                gb_per_s=contender.num_bytes / took / 1e9,
                gflop_per_s=contender.num_flops / took / 1e9,
                limit=limit if least_s else "",
                percent_of_limit=100 * least_s / took,
                extra_mb=added / 1e6,
                speedup=baseline / took,
            )
        )
    return rows


HEADER = (
    f"{'what':52} {'who':22} {'ms':>9} {'GB/s':>7} {'GFLOP/s':>8} {'% of limit':>16} "
    f"{'extra MB':>9} {'x base':>7}"
)


def line_of(row: Row) -> str:
    def number(value: float, form: str, width: int) -> str:
        return format(format(value, form) if value else "-", f">{width}")

    what = f"{row.op} {row.phase} {row.dtype} {row.shape}"
    share = f"{row.percent_of_limit:.0f} {row.limit}" if row.limit else "-"
    return (
        f"{what:52} {row.name:22} {row.ms:9.3f} {number(row.gb_per_s, '.1f', 7)} "
        f"{number(row.gflop_per_s, '.1f', 8)} {share:>16} {number(row.extra_mb, '.1f', 9)} "
        f"{row.speedup:7.2f}"
    )


def parse_options() -> argparse.Namespace:
    """Read the command line; a device that is not there ends the run with one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="limit per group of rows")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--filter", default="", help="measure groups that contain this text")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("bench: error: --device must be cpu, got cuda: torch finds no GPU", file=sys.stderr)
        raise SystemExit(2)
    return options


def main(groups: Callable[[torch.device], Iterable[list[Contender]]]) -> None:
    """Parse the command line, measure every group, print the table and write the JSON.

    `groups` makes the contenders of one group after another, so that one group's tensors live at a
    time. The op is the file's: `bench_<op>.py`.
    """
    options = parse_options()
    op = Path(sys.argv[0]).stem.removeprefix("bench_")
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    where = facts(device, options.threads)
    peak_of = peaks(device, options.threads)
    print(
        f"{where['machine']}, isa {where['cpu_isa']}, {options.threads} threads, "
        f"torch {where['torch']}; peaks, GFLOP/s: "
        + ", ".join(f"{p.name} {p.flops_per_s / 1e9:.0f}" for p in peak_of.values())
    )
    print(HEADER)
    rows: list[Row] = []
    for group in groups(device):
        if options.filter not in group[0].group:
            continue
        found = compare(
            group,
            op=op,
            threads=options.threads,
            rounds=options.rounds,
            seconds=options.seconds,
            peak_of=peak_of,
        )
        rows += found
        print("\n".join(map(line_of, found)), flush=True)
    if options.json is not None:
        results.write(options.json, where, rows)
