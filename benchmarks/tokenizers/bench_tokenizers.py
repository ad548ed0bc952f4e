"""The tokenizers against their peers, side by side in one run, with the project's targets.

    python benchmarks/tokenizers/bench_tokenizers.py [--seconds S] [--json PATH] [--parts NAME ...]

Each part runs in a process of its own, because some packages fix their number of threads at first
use. Within a part the packages take turns and a figure is the median; that all give the same ids is
checked first. `--seconds` below 0.5 makes the texts smaller in proportion.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.support import results
from benchmarks.support.machine import REPO_ROOT, facts
from benchmarks.tokenizers import encoding, figures, loading, peers, texts, training, worst_cases
from benchmarks.tokenizers.figures import Line, Report, table

PARTS = {
    "byte_level": encoding.byte_level,
    "two_threads": encoding.two_threads,
    "other_models": encoding.other_models,
    "bpe_training": training.bpe_training,
    "unigram_training": training.unigram_training,
    "wordpiece_training": training.wordpiece_training,
    "worst_cases": worst_cases.worst_cases,
    "loading": loading.loading,
}
SEVERAL_THREADS = ("two_threads", "bpe_training", "unigram_training", "wordpiece_training")
FULL_SECONDS = 0.5
SECONDS_PER_GROUP = 20.0
"""Seconds that one group of contestants takes, for each second of `--seconds`."""


def run_part(name: str, folder: Path, seconds: float, clock: str) -> Report:
    """Run one part in a process of its own."""
    out = folder / f"{name}.report"
    words = [sys.executable, __file__, "--part", name, "--folder", str(folder)]
    words += ["--seconds", str(seconds), "--json", str(out)]
    words += ["--clock", "wall" if name in SEVERAL_THREADS else clock]
    threads = str(training.THREADS if name in SEVERAL_THREADS else 1)
    pools = {"RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()}
    done = subprocess.run(words, env=os.environ | pools, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr}")
    found = json.loads(out.read_text(encoding="utf-8"))
    return Report(
        rows=[results.Row(**row) for row in found["rows"]],
        lines=[Line(**line) for line in found["lines"]],
        gaps=found["gaps"],
    )


def _import_path() -> str:
    return os.pathsep.join([str(REPO_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=FULL_SECONDS)
    parser.add_argument("--threads", type=int, default=2, help="ignored: the targets name theirs")
    parser.add_argument("--json", type=Path, default=REPO_ROOT / "runs/bench/tokenizers.json")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--clock", choices=figures.CLOCKS, default="wall", help="of one thread")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        figures.use_clock(args.clock)
        report = PARTS[args.part](args.folder, SECONDS_PER_GROUP * args.seconds)
        args.json.write_text(json.dumps(asdict(report)), encoding="utf-8")
        return
    report = Report()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts.write_corpora(folder, min(1.0, args.seconds / FULL_SECONDS))
        sizes = {n: texts.num_bytes(texts.read_corpus(folder, n)) for n in ("english", "japanese")}
        for part in args.parts:
            started = time.perf_counter()
            found = run_part(part, folder, args.seconds, args.clock)
            spent = f"{part}: {time.perf_counter() - started:.0f} s"
            print(f"{spent}\n{table(found.lines)}\n", file=sys.stderr, flush=True)
            report.rows += found.rows
            report.lines += found.lines
            report.gaps += found.gaps
    where = facts(torch.device("cpu"), 2) | peers.versions() | {"gaps": report.gaps}
    results.write(args.json, where, report.rows)
    lines = json.loads(args.json.read_text(encoding="utf-8"))
    lines["targets"] = [asdict(line) for line in report.lines]
    args.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    named = ", ".join(f"{name} {v}" for name, v in peers.versions().items())
    print(f"{where['machine']}, {where['cores']} cores, {where['date']}, commit {where['commit']}")
    print(f"Clock of one-thread parts: {args.clock}")
    print(f"Peers: {named}")
    print("Texts: " + ", ".join(f"{n} {s / 1e6:.1f} MB" for n, s in sizes.items()))
    judged = [line for line in report.lines if line.met is not None]
    print(f"Targets met: {sum(bool(line.met) for line in judged)} of {len(judged)}")
    print(f"The run took {time.perf_counter() - began:.0f} s\n\n{table(report.lines)}")


if __name__ == "__main__":
    main()
