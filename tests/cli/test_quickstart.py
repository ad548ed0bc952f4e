"""`llmcore quickstart` hands its options to the recipe and to the pipeline."""

from pathlib import Path

import pytest

from llmcore import pipeline, recipes
from llmcore.cli.app import run


@pytest.fixture
def pipeline_calls(monkeypatch) -> list[tuple]:
    """Arguments that reach `pipeline.run`, which does nothing here."""
    calls: list[tuple] = []
    monkeypatch.setattr(
        pipeline, "run", lambda config, **keywords: calls.append((config, keywords))
    )
    return calls


def test_defaults(pipeline_calls):
    assert run(["quickstart"]) == 0
    [(config, keywords)] = pipeline_calls
    assert config == recipes.quickstart("full", "")
    assert keywords == {"out_dir": Path("runs/quickstart"), "resume": True, "quiet": False}


def test_a_smoke_run_has_a_folder_of_its_own(pipeline_calls):
    assert run(["quickstart", "--scale", "smoke"]) == 0
    assert pipeline_calls[0][1]["out_dir"] == Path("runs/quickstart-smoke")


def test_every_option_arrives(pipeline_calls):
    words = ["--scale", "smoke", "--data", "notes", "--out", "x", "--no-resume", "--quiet"]
    assert run(["quickstart", *words]) == 0
    [(config, keywords)] = pipeline_calls
    assert config == recipes.quickstart("smoke", "notes")
    assert keywords == {"out_dir": Path("x"), "resume": False, "quiet": True}


def test_an_unknown_scale_is_refused(capsys):
    assert run(["quickstart", "--scale", "smok"]) == 2
    assert "smoke" in capsys.readouterr().err
