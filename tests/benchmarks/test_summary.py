"""The table of `make bench`: which target speaks of which row, and what is met."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import summary
from benchmarks.summary import Target, judge, line_of, table_of

RowDict = dict[str, Any]
FITTING = {"op": "op", "pass": "forward", "dtype": "float32", "shape": "4x8", "threads": 2}


def row(**changes: object) -> RowDict:
    figures = {"ms": 1.0, "extra_mb": 0.0, "percent_of_limit": 0.0, "limit": "", "num_bytes": 1e9}
    return FITTING | figures | {"name": "llmcore", "source": "Python"} | changes


def verdicts(monkeypatch: pytest.MonkeyPatch, targets: list[Target], rows: list[RowDict]) -> Any:
    monkeypatch.setattr(summary, "TARGETS", tuple(targets))
    return [(v["value"], v["met"]) for ours in judge(rows) for v in ours["verdicts"]]


def test_a_ratio_is_to_the_contender_that_the_target_names(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(), row(name="fused", ms=3.0), row(name="slow", ms=9.0), row(name="clone", ms=0.5)]
    target = Target(op="op", what="ratio", least=4, against="fused")
    assert verdicts(monkeypatch, [target], rows) == [(3.0, False)]
    target = Target(op="op", what="ratio", least=4)
    assert verdicts(monkeypatch, [target], rows) == [(9.0, True)]


def test_a_target_fits_by_op_pass_dtype_shape_and_size() -> None:
    target = Target(op="op", what="limit", least=1, shape=r"x8\b", min_bytes=1e8)
    assert target.fits(row()) and not target.fits(row(op="op2"))
    assert not target.fits(row(num_bytes=1e6)) and not target.fits(row(shape="4x80"))
    assert not Target(op="op", what="limit", least=1, passes="backward").fits(row())


def test_the_kernel_alone_counts_for_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(op="op", what="limit", least=80)
    python, cpp = row(percent_of_limit=50.0), row(percent_of_limit=90.0, source="C++")
    assert verdicts(monkeypatch, [target], [python]) == [(50.0, False)]
    assert verdicts(monkeypatch, [target], [python, cpp]) == [(90.0, True)]


def test_memory_and_time_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(extra_mb=1.0, shape="8x128000", ms=4.0), row(extra_mb=16.0, name="torch")]
    rows[1]["shape"] = "8x128000"
    memory = Target(op="op", what="memory", most=1 / 8)
    per_row = Target(op="op", what="ms per row", most=0.4)
    assert verdicts(monkeypatch, [memory, per_row], rows) == [(1 / 16, True), (0.5, False)]


def test_every_target_of_the_table_can_be_written() -> None:
    assert all(target.words() for target in summary.TARGETS)


def test_the_summary_reads_both_kinds_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(name: str, document: RowDict) -> None:
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")

    plain = {key: value for key, value in row().items() if key not in ("name", "source")}
    limits = [{"threads": 2, "limit": "copy", "giga_per_s": 30.0}]
    write("cpp.json", {"facts": {}, "limits": limits, "rows": [plain]})
    write("py.json", {"facts": {"machine": "here"}, "rows": [row(), row(name="torch", ms=2.0)]})
    monkeypatch.setattr("sys.argv", ["summary", str(tmp_path), "--out", str(tmp_path / "out")])
    summary.main()
    assert "here" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "bench.json").read_text(encoding="utf-8"))
    assert [r["source"] for r in found["rows"]] == ["C++", "Python"]
    assert found["rows"][1]["ratio"] == 2.0
    assert "| C++ |" in (tmp_path / "out" / "bench.md").read_text(encoding="utf-8")


def test_a_line_says_met_or_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "TARGETS", (Target(op="op", what="ratio", least=3),))
    (ours,) = judge([row(), row(name="torch", ms=2.0)])
    assert ">= 3x: MISSED (2)" in line_of(ours)
    assert "Targets met: 0 of 1" in table_of({}, [], [ours])
