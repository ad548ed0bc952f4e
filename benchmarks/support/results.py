"""The one row type of all benchmarks' JSON files, in Python and in C++."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DTYPES = ("float32", "bfloat16", "float16", "float64", "int8", "int4", "utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    op: str
    phase: str
    """`forward`, `backward`, `step`, ...: the column `pass`."""
    dtype: str
    shape: str
    name: str
    """Whose implementation: `llmcore`, or who it is compared with."""
    threads: int
    rounds: int
    ms: float
    """Median of the rounds."""
    best_ms: float
    num_bytes: float = 0.0
    num_flops: float = 0.0
    gb_per_s: float = 0.0
    gflop_per_s: float = 0.0
    limit: str = ""
    percent_of_limit: float = 0.0
    """0 if nothing bounds it that was measured."""
    extra_mb: float = 0.0
    """Memory that one call adds at its peak, without its result; 0 if not measured."""
    speedup: float = 0.0
    """The last contender's time over this one's; 0 if there is none."""


def words_of(group: str, op: str) -> dict[str, str]:
    """Split `[OP] PASS DTYPE SHAPE`; a pass that is not named is the forward."""
    words = group.split(" ")
    at = next((idx for idx, word in enumerate(words) if word in DTYPES), None)
    if at is None:
        return {"op": op, "phase": words[0], "dtype": "", "shape": " ".join(words[1:])}
    return {
        "op": " ".join(words[: at - 1]) if at > 1 else op,
        "phase": words[at - 1] if at else "forward",
        "dtype": words[at],
        "shape": " ".join(words[at + 1 :]),
    }


def write(path: Path, facts: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write one benchmark's rows; `phase` is `pass` in the file, as in the C++ binaries' files."""
    found = [asdict(row) for row in rows]
    for row in found:
        row["pass"] = row.pop("phase")
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"facts": facts, "rows": found}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
