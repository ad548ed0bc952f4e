"""A stage in its directory: what it leaves, how it resumes."""

import os
import signal
from pathlib import Path

import pytest

from llmcore.errors import ConfigError, Interrupted
from llmcore.training import StageResult, StageRun, TrainConfig, read_metrics, train_stage
from tests.support.toy_run import ToyConfig, ToyStream, toy_state, toy_step

CONFIG = ToyConfig(train=TrainConfig(num_steps=12, checkpoint_every=5))


def run(
    out_dir: Path, *, config: ToyConfig = CONFIG, resume: bool = True, step=toy_step, seed: int = 0
) -> StageResult:
    stage_run = StageRun(
        stage="toy", config=config, train=config.train, out_dir=out_dir, resume=resume, quiet=True
    )
    state = toy_state(seed)
    return train_stage(
        stage_run, state, step, ToyStream(), evaluate=lambda state: {"val_loss": 1.0}
    )


def losses(out_dir: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(out_dir / "metrics.jsonl")]


def interrupt_in_step_eight(state, micro_batches):
    if state.step == 7:
        os.kill(os.getpid(), signal.SIGINT)
    return toy_step(state, micro_batches)


def test_it_leaves_record_metrics_events_and_checkpoints(tmp_path: Path):
    result = run(tmp_path)
    assert (result.steps, result.tokens, result.model_dir) == (12, 48, tmp_path)
    assert result.final_loss == losses(tmp_path)[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints",
        "metrics.jsonl",
        "run.toml",
        "tb",
    ]
    assert read_metrics(result.metrics_path)[-1]["val_loss"] == 1.0
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_interrupted_and_resumed_the_losses_are_those_of_one_run(tmp_path: Path):
    run(tmp_path / "straight")
    with pytest.raises(Interrupted) as caught:
        run(tmp_path / "broken", step=interrupt_in_step_eight)
    command = f"llmcore rerun {tmp_path / 'broken' / 'run.toml'}"
    assert str(caught.value) == (
        f"SIGINT: stopped after step 8; checkpoint saved; resume with: {command}"
    )
    run(tmp_path / "broken", seed=99)
    assert losses(tmp_path / "broken") == losses(tmp_path / "straight")


def test_a_damaged_newest_checkpoint_costs_only_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run(tmp_path / "straight")
    with pytest.raises(Interrupted):
        run(tmp_path / "broken", step=interrupt_in_step_eight)
    newest = tmp_path / "broken" / "checkpoints" / "step-0000000008.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    run(tmp_path / "broken")
    assert losses(tmp_path / "broken") == losses(tmp_path / "straight")
    assert "using step-0000000005.safetensors instead" in capsys.readouterr().err


def test_a_complete_run_trains_nothing_more(tmp_path: Path):
    def refuse(state, micro_batches):
        raise AssertionError

    first = run(tmp_path)
    assert run(tmp_path, step=refuse) == first


def test_another_config_needs_another_directory_or_a_fresh_start(tmp_path: Path):
    run(tmp_path)
    before = (tmp_path / "run.toml").read_bytes()
    other = ToyConfig(data="other", train=CONFIG.train)
    with pytest.raises(ConfigError, match="data must be ''"):
        run(tmp_path, config=other)
    assert (tmp_path / "run.toml").read_bytes() == before
    run(tmp_path, config=other, resume=False)
    assert len(losses(tmp_path)) == 12


def test_progress_is_shown_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run(tmp_path)
    assert capsys.readouterr().err == ""
    stage_run = StageRun(stage="toy", config=CONFIG, train=CONFIG.train, out_dir=tmp_path / "b")
    train_stage(stage_run, toy_state(), toy_step, ToyStream())
    assert "toy: step 12/12" in capsys.readouterr().err


def test_a_place_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot create"):
        run(tmp_path / "file" / "out")
