"""The plain loop and the real stage are the same run."""

import sys
from pathlib import Path

import pytest

from llmcore.pretraining import run
from llmcore.recipes.plain import pretrain as plain
from llmcore.training import read_metrics
from tests.support.toy_pretraining import toy_config, write_documents


@pytest.fixture(scope="session")
def documents_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short documents. Read only."""
    return write_documents(tmp_path_factory.mktemp("toy-documents") / "documents.jsonl")


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_twenty_steps_have_the_same_losses(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path, micro_batches: int
):
    config = toy_config(tokenizer_dir, documents_file, micro_batches=micro_batches)
    result = run(config, out_dir=tmp_path, quiet=True)
    losses = [row["loss"] for row in read_metrics(result.metrics_path)]
    assert plain.pretrain(config, num_steps=20) == pytest.approx(losses[:20], rel=1e-6)


def test_it_runs_from_a_record_on_the_command_line(
    tokenizer_dir: Path,
    documents_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    config = toy_config(tokenizer_dir, documents_file, num_steps=5)
    result = run(config, out_dir=tmp_path, quiet=True)
    monkeypatch.setattr(sys, "argv", ["pretrain", str(tmp_path / "run.toml")])
    plain.main()
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "step",
        "5",
        "loss",
        f"{result.final_loss:.6f}",
    ]


def test_it_is_short_and_free_of_the_framework():
    source = Path(plain.__file__).read_text()
    assert len(source.splitlines()) <= 250
    for room in ("llmcore.training", "llmcore.optim", "llmcore.data.pretrain_stream"):
        assert room not in source
