"""One table and one JSON from the files that `make bench` collected, with the project's targets.

    python benchmarks/summary.py runs/bench/parts --out runs/bench

Each line is one of our figures: against the contender that its target names (else the group's last
one), as a share of its limit, and whether the targets that apply to it are met. Lines marked C++
are kernels alone on warm buffers; the others are calls from Python, result allocation included.
"""

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RowDict = dict[str, Any]
YARDSTICKS = ("clone", "copy_", "read")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A figure to reach, and the rows it is meant for: patterns match from the start."""

    op: str
    what: str
    """`ratio` of times to `against`, `limit` in per cent, `memory` as a ratio to `against`, or
    `ms per row`, where the rows are the shape's first number."""
    least: float = 0.0
    most: float = float("inf")
    passes: str = ""
    dtype: str = ""
    shape: str = ""
    against: str = ""
    min_bytes: float = 0.0
    """So that no cache holds the tensors."""

    def fits(self, row: RowDict) -> bool:
        texts = (self.op + "$", row["op"]), (self.passes, row["pass"]), (self.dtype, row["dtype"])
        return (
            all(re.match(pattern, text) for pattern, text in texts)
            and re.search(self.shape, row["shape"]) is not None
            and row["num_bytes"] >= self.min_bytes
        )

    def words(self) -> str:
        unit = {"ratio": "x", "limit": " %", "memory": "x memory", "ms per row": " ms/row"}
        sign, bound = (">=", self.least) if self.least else ("<=", self.most)
        return f"{sign} {bound:g}{unit[self.what]}"


# Targets against the machine's memory are meant for tensors that no cache holds (64 MB and more in
# the words); smaller ones are in the table without a verdict.
BEYOND_CACHE = 6e7
LONG = r"x(1024|1000|2048|4096)x.*x(64|128)\b"  # attention's B x T x H/Hkv x D
HUGE_VOCAB = r"x(128000|128256|131072)\b"
ONE_ROW, MANY_ROWS = r"\b1 rows", r"(256|512|1024|2048) rows"
NORM, ACTIVATION = "(add_)?(rms|layer)_norm", "swiglu|geglu.*|gelu.*|relu2"
TARGETS = (
    Target(op=NORM, what="limit", least=80, min_bytes=1e8),
    Target(
        op="rms_norm",
        what="ratio",
        least=5,
        dtype="float32",
        against="F.rms_norm",
        min_bytes=BEYOND_CACHE,
    ),
    Target(
        op="rms_norm",
        what="ratio",
        least=10,
        dtype="bfloat16",
        against="F.rms_norm",
        min_bytes=BEYOND_CACHE,
    ),
    Target(op="rope_?|xpos", what="limit", least=80, min_bytes=BEYOND_CACHE),
    Target(op=ACTIVATION, what="limit", least=80, min_bytes=BEYOND_CACHE),
    Target(op=ACTIVATION, what="ratio", least=4, min_bytes=BEYOND_CACHE),
    Target(op="(linear_)?cross_entropy", what="ratio", least=1.25),
    Target(op="(linear_)?cross_entropy", what="memory", most=1 / 8, shape=HUGE_VOCAB),
    Target(op="adamw", what="ratio", least=0.95, against=".*fused"),
    Target(op="attention", what="ratio", least=1.4, dtype="float32", shape=LONG, against="sdpa"),
    Target(op="attention", what="ratio", least=1.8, dtype="bfloat16", shape=LONG, against="sdpa"),
    Target(op="attention", what="limit", least=60, shape=r"x4096x.*x(64|128)\b"),
    Target(op="paged_attention", what="limit", least=85, passes="decode", min_bytes=5e7),
    Target(op="paged_attention", what="ratio", least=1, passes="decode", against="sdpa"),
    Target(op="linear", what="limit", least=85, shape=ONE_ROW, min_bytes=BEYOND_CACHE),
    Target(op="linear", what="ratio", least=2, dtype="bfloat16$", shape="x bfloat16 1 rows"),
    Target(op="linear", what="ratio", least=0.95, dtype="float32$", shape="x float32 " + MANY_ROWS),
    Target(
        op="linear", what="ratio", least=1.4, dtype="bfloat16$", shape="x bfloat16 " + MANY_ROWS
    ),
    Target(op="sampl(e|ing)", what="ms per row", most=0.4, shape=HUGE_VOCAB),
    Target(op="sampl(e|ing)", what="ratio", least=50, shape=HUGE_VOCAB),
    Target(op="model", what="ratio", least=1.3, passes="train", against="transformers eager$"),
    Target(op="model", what="ratio", least=1.1, passes="train", against=".*compiled"),
)


def key_of(row: RowDict) -> tuple[Any, ...]:
    return tuple(row[field] for field in ("op", "pass", "dtype", "shape", "threads"))


def read_parts(folder: Path) -> tuple[RowDict, list[RowDict], list[RowDict]]:
    """Facts of the machine, its limits, and every row; rows of C++ binaries are `llmcore`'s."""
    facts: RowDict = {}
    limits: list[RowDict] = []
    rows: list[RowDict] = []
    for path in sorted(folder.glob("*.json")):
        part = json.loads(path.read_text(encoding="utf-8"))
        limits = limits or part.get("limits", [])
        is_cpp = "limits" in part
        facts = facts if is_cpp else facts | part["facts"]
        for row in part["rows"]:
            row["source"] = "C++" if is_cpp else "Python"
            rows.append({"name": "llmcore", "extra_mb": 0.0} | row)
    return facts, limits, rows


def verdict(target: Target, row: RowDict, other: RowDict | None) -> RowDict | None:
    """The figure of `row` that `target` speaks of and whether it is met; None without one."""
    if target.what == "limit":
        value = row["percent_of_limit"]
    elif target.what == "ms per row":
        value = row["ms"] / int(re.match(r"\d+", row["shape"]).group())  # type: ignore[union-attr]
    elif other is None:
        return None
    elif target.what == "ratio":
        value = other["ms"] / row["ms"]
    else:
        value = row["extra_mb"] / other["extra_mb"] if other["extra_mb"] else 0.0
    if not value:
        return None
    met = target.least <= value <= target.most
    return {"target": target.words(), "value": value, "met": met, "against": target.against}


def rival_of(rivals: list[RowDict], against: str) -> RowDict | None:
    """The last contender that `against` matches."""
    found = [row for row in rivals if re.match(against, row["name"])]
    return found[-1] if found else None


def judge(rows: list[RowDict]) -> list[RowDict]:
    """Our rows, each with its rival and the verdicts of the targets that fit it."""
    in_cpp = {row["op"] for row in rows if row["source"] == "C++"}
    ours = [row for row in rows if row["name"].startswith("llmcore")]
    for row in ours:
        rivals = [
            other
            for other in rows
            if key_of(other) == key_of(row)
            and other["source"] == row["source"]
            and not other["name"].startswith("llmcore")
            and other["name"] not in YARDSTICKS
        ]
        fitting = [target for target in TARGETS if target.fits(row)]
        # Where C++ measured the kernel alone, its share of the limit is the one that counts.
        if row["source"] == "Python" and row["op"] in in_cpp:
            fitting = [target for target in fitting if target.what != "limit"]
        verdicts = [(verdict(t, row, rival_of(rivals, t.against))) for t in fitting]
        row["verdicts"] = [found for found in verdicts if found is not None]
        named = [target.against for target in fitting if target.against]
        rival = rival_of(rivals, named[0] if named else "")
        row["rival"] = rival and {key: rival[key] for key in ("name", "ms", "extra_mb")}
        row["ratio"] = rival["ms"] / row["ms"] if rival else 0.0
    return ours


def line_of(row: RowDict) -> str:
    rival = row["rival"] or {}
    verdicts = [
        f"{v['target']}: {'met' if v['met'] else 'MISSED'} ({v['value']:.3g})"
        for v in row["verdicts"]
    ]
    what = row["name"] if row["source"] == "Python" else "C++"
    cells = (
        row["op"],
        row["shape"],
        row["dtype"],
        row["pass"],
        str(row["threads"]),
        what,
        f"{row['ms']:.4g}",
        f"{rival['ms']:.4g} ({rival['name']})" if rival else "-",
        f"{row['ratio']:.2f}" if row["ratio"] else "-",
        f"{row['percent_of_limit']:.0f} {row['limit']}" if row["percent_of_limit"] else "-",
        "; ".join(verdicts) or "-",
    )
    return "| " + " | ".join(cells) + " |"


COLUMNS = (
    *("op", "shape", "dtype", "pass", "threads", "who", "ours, ms", "theirs, ms", "ratio"),
    *("% of limit", "targets"),
)


def table_of(facts: RowDict, limits: list[RowDict], ours: Iterable[RowDict]) -> str:
    verdicts = [found for row in ours for found in row["verdicts"]]
    num_met = sum(found["met"] for found in verdicts)
    peaks = "; ".join(
        f"{one['limit']} {one['giga_per_s']:.0f} ({one['threads']} T)" for one in limits
    )
    return "\n".join(
        [
            f"{facts.get('machine', '?')}, {facts.get('cores', '?')} cores, "
            f"{facts.get('cpu_isa', '?')}, torch {facts.get('torch', '?')}, "
            f"{facts.get('date', '?')}, commit {facts.get('commit', '?')}",
            f"Limits, GB/s or GFLOP/s: {peaks or 'not measured'}",
            f"Targets met: {num_met} of {len(verdicts)}",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|" + "---|" * len(COLUMNS),
            *map(line_of, ours),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", type=Path, help="folder of the benchmarks' JSON files")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    args = parser.parse_args()
    facts, limits, rows = read_parts(args.parts)
    ours = judge(rows)
    table = table_of(facts, limits, ours)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bench.md").write_text(table + "\n", encoding="utf-8")
    document = {"facts": facts, "limits": limits, "rows": ours}
    text = json.dumps(document, indent=1) + "\n"
    (args.out / "bench.json").write_text(text, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
