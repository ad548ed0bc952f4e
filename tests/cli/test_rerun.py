"""`llmcore rerun`: the recorded run again, with the same numbers."""

import json
from pathlib import Path

import pytest

from llmcore.cli.app import run
from llmcore.cli.rerun import stage_runner
from llmcore.errors import ConfigError
from tests.support import toy


def losses(folder: Path) -> list[float]:
    rows = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row)["loss"] for row in rows]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, tokenizer_dir) -> Path:
    """Folder of a finished toy pre-training run."""
    folder = tmp_path_factory.mktemp("recorded")
    documents = toy.write_documents(folder / "documents")
    inputs = [f"tokenizer={tokenizer_dir}", f"data={documents}"]
    sizes = [*toy.TRAIN_ASSIGNMENTS, *toy.MODEL_ASSIGNMENTS]
    argv = ["pretrain", "tiny", "--quiet", *toy.set_words([*sizes, *inputs])]
    assert run([*argv, "--out", str(folder / "first")]) == 0
    return folder / "first"


def test_another_folder_reproduces_the_losses_bit_for_bit(recorded, tmp_path):
    assert run(["rerun", str(recorded / "run.toml"), "--out", str(tmp_path / "x"), "-q"]) == 0
    assert losses(tmp_path / "x") == losses(recorded)


def test_an_override_makes_it_another_run(recorded, tmp_path):
    words = ["rerun", str(recorded), "--out", str(tmp_path / "x"), "--set", "train.seed=9", "-q"]
    assert run(words) == 0
    assert losses(tmp_path / "x") != losses(recorded)
    assert "seed = 9" in (tmp_path / "x" / "run.toml").read_text()


def test_a_version_that_differs_is_named(recorded, tmp_path, capsys):
    old = (recorded / "run.toml").read_text().replace('torch = "', 'torch = "0.')
    (tmp_path / "run.toml").write_text(old)
    assert run(["rerun", str(tmp_path / "run.toml"), "--out", str(tmp_path / "x")]) == 0
    assert "recorded with torch 0." in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["pretrain", "sft", "dpo", "quickstart"])
def test_every_stage_can_be_rerun(stage):
    config_class, runner = stage_runner(stage)
    assert callable(runner) and config_class.__name__.endswith("Config")


def test_an_unknown_stage_is_refused():
    with pytest.raises(ConfigError, match="bake"):
        stage_runner("bake")
