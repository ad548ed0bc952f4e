"""The benchmark harness itself: its rows, its limits and the memory that it counts."""

import pytest
import torch

from benchmarks.support.bench_op import compare, line_of
from benchmarks.support.contender import Contender, Work, passes
from benchmarks.support.machine import Peak, extra_memory
from benchmarks.support.results import words_of

CPU = torch.device("cpu")
PEAKS = {"float32": Peak(name="FMA f32", flops_per_s=1e12)}


def test_a_group_names_op_pass_dtype_and_shape() -> None:
    assert words_of("forward float32 16x8", "rms_norm") == {
        "op": "rms_norm",
        "phase": "forward",
        "dtype": "float32",
        "shape": "16x8",
    }
    assert words_of("add_rms_norm backward bfloat16 16x8 odd", "rms_norm")["op"] == "add_rms_norm"
    assert words_of("float32 8x131072 top_k 50", "sample")["phase"] == "forward"


def rows_of(contenders: list[Contender]) -> list[dict[str, object]]:
    rows = compare(contenders, op="op", threads=1, rounds=3, seconds=0.01, peak_of=PEAKS)
    return [{"name": row.name, "limit": row.limit, "percent": row.percent_of_limit} for row in rows]


def contender(**changes: object) -> Contender:
    x = torch.ones(1024)
    given = {"group": "forward float32 1024", "name": "llmcore", "run": x.clone, "device": CPU}
    return Contender(**(given | changes))  # type: ignore[arg-type]


def test_bytes_are_compared_with_a_copy_of_as_many_in_the_same_rounds() -> None:
    rows = rows_of([contender(num_bytes=8192), contender(name="torch", num_bytes=8192)])
    assert [row["name"] for row in rows] == ["llmcore", "torch", "clone"]
    assert rows[2]["limit"] == "copy" and rows[2]["percent"] == pytest.approx(100)


def test_reads_and_operations_have_limits_of_their_own() -> None:
    assert rows_of([contender(num_bytes=8192, limit="read")])[1]["name"] == "read"
    (row,) = rows_of([contender(num_flops=10**6)])
    assert row["limit"] == "FMA f32" and row["percent"] > 0  # type: ignore[operator]
    (row,) = rows_of([contender()])
    assert row == {"name": "llmcore", "limit": "", "percent": 0.0}


def test_the_backward_is_a_group_of_its_own() -> None:
    x = torch.ones(4, 8)
    work = Work(num_bytes=256)
    calls = {"llmcore": torch.relu, "torch": torch.relu}
    groups = list(passes("float32 4x8", calls, (x,), grads=(0,), forward=work, backward=work))
    assert [group[0].group for group in groups] == ["forward float32 4x8", "backward float32 4x8"]
    (gradient,) = groups[1][0].run()  # type: ignore[misc]
    assert torch.equal(gradient, torch.ones(4, 8))


def test_extra_memory_counts_what_a_call_holds_at_its_peak() -> None:
    size = 64 << 20

    def run() -> torch.Tensor:
        return torch.ones(size // 4).add_(torch.ones(size // 4)).sum()

    found = extra_memory(run)
    assert found == 0 or 1.9 * size < found < 2.5 * size  # 0: the system keeps no such mark


def test_extra_memory_does_not_count_a_fresh_result() -> None:
    size = 64 << 20

    def run() -> list[torch.Tensor]:
        return [torch.ones(size // 4).add_(torch.ones(size // 4))]

    found = extra_memory(run)
    assert found == 0 or 0.9 * size < found < 1.5 * size
    found = extra_memory(run, allocates=False)
    assert found == 0 or 1.9 * size < found < 2.5 * size


def test_a_line_shows_a_dash_for_what_was_not_measured() -> None:
    (row,) = compare([contender()], op="op", threads=1, rounds=1, seconds=1, peak_of=PEAKS)
    assert line_of(row).startswith("op forward float32 1024") and " - " in line_of(row)
