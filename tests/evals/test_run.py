"""`evals.run` measures what it is given data for, and finds the quickstart's own."""

from pathlib import Path

import pytest

from llmcore.errors import ConfigError
from llmcore.evals.config import EvalConfig
from llmcore.evals.exact_match import Question
from llmcore.evals.questions import write_questions
from llmcore.evals.run import run, with_default_data
from tests.support import toy


@pytest.fixture
def data(tmp_path) -> dict[str, str]:
    (tmp_path / "data").mkdir()
    documents = tmp_path / "data" / "documents_held_out.jsonl"
    documents.write_text('{"text": "def function_1(x):"}\n')
    exercises = tmp_path / "data" / "exercises_held_out.jsonl"
    write_questions(exercises, [Question(group="g", prompt="Say a.", answer="a")])
    preferences = tmp_path / "data" / "preferences_held_out.jsonl"
    toy.write_preferences(preferences)
    return {
        "documents": str(documents),
        "exercises": str(exercises),
        "preferences": str(preferences),
    }


def test_everything_is_measured(model_dir, data):
    config = EvalConfig(model=str(model_dir), reference=str(model_dir), max_new_tokens=4, **data)
    metrics = run(config)
    assert set(metrics) == {
        "bits_per_byte",
        "exact_match",
        "exact_match/g",
        "preference_accuracy",
        "kl_per_token",
        "kl_per_answer",
    }
    assert metrics["bits_per_byte"] > 1
    assert metrics["kl_per_answer"] == pytest.approx(0, abs=1e-5)


def test_only_what_is_given(model_dir, data):
    metrics = run(EvalConfig(model=str(model_dir), documents=data["documents"]))
    assert set(metrics) == {"bits_per_byte"}


def test_the_files_beside_the_model_are_found(data, tmp_path):
    config = with_default_data(EvalConfig(model=str(tmp_path / "sft")))
    assert {k: getattr(config, k) for k in data} == data
    Path(data["documents"]).unlink()
    assert with_default_data(EvalConfig(model=str(tmp_path / "sft"))).documents == ""


def test_no_data_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="documents"):
        with_default_data(EvalConfig(model=str(tmp_path / "elsewhere" / "sft")))
