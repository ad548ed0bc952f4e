"""metrics.jsonl never holds a step twice."""

import json
from pathlib import Path

import pytest

from llmcore.training import MetricsLog, read_metrics
from tests.support.toy_run import toy_state


def write_steps(path: Path, first: int, last: int, *, every: int = 1, extra: dict | None = None):
    log = MetricsLog(path, every=every, num_steps=9)
    state = toy_state()
    state.step = first - 1
    log.on_start(state)
    for step in range(first, last + 1):
        state.step = step
        log.on_step(state, {"step": step, "loss": step / 3, **(extra or {})})
    log.on_stop(state, "finished")


def steps(path: Path) -> list[int]:
    return [row["step"] for row in read_metrics(path)]


def test_numbers_come_back_exactly(tmp_path: Path):
    write_steps(tmp_path / "m", 1, 3)
    assert read_metrics(tmp_path / "m")[1] == {"step": 2, "loss": 2 / 3}


def test_a_resume_cuts_back_to_its_step(tmp_path: Path):
    write_steps(tmp_path / "m", 1, 5)
    write_steps(tmp_path / "m", 4, 6)
    assert steps(tmp_path / "m") == [1, 2, 3, 4, 5, 6]
    write_steps(tmp_path / "m", 1, 2)
    assert steps(tmp_path / "m") == [1, 2]


@pytest.mark.parametrize("tail", ['{"step": 4, "lo', "4", "\x00\x00"])
def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path: Path, tail: str):
    write_steps(tmp_path / "m", 1, 3)
    with (tmp_path / "m").open("a") as file:
        file.write(tail)
    assert steps(tmp_path / "m") == [1, 2, 3]
    write_steps(tmp_path / "m", 4, 4)
    lines = (tmp_path / "m").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_rows_every_few_steps_the_last_and_those_with_an_evaluation(tmp_path: Path):
    write_steps(tmp_path / "m", 1, 9, every=4)
    assert steps(tmp_path / "m") == [4, 8, 9]
    write_steps(tmp_path / "m", 1, 3, every=4, extra={"val_loss": 1.0})
    assert steps(tmp_path / "m") == [1, 2, 3]


def test_a_missing_file_has_no_rows(tmp_path: Path):
    assert read_metrics(tmp_path / "none") == []
