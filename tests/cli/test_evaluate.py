"""`llmcore eval`: the measurements of `evals.run`, as a table or as JSON."""

import json

import pytest

from llmcore import evals
from llmcore.cli.app import run
from tests.support import toy
from tests.support.command import assert_one_line_error, call_llmcore


@pytest.fixture
def measured(tmp_path, model_dir) -> tuple[list[str], dict[str, float]]:
    """Words that measure the toy model on text and pairs, and what the library gives for them."""
    documents = toy.write_documents(tmp_path / "documents", num_files=5)
    pairs = toy.write_preferences(tmp_path / "pairs.jsonl")
    data = {"documents": str(documents), "preferences": str(pairs), "seq_len": 64}
    words = toy.set_words(f"{key}={value}" for key, value in data.items())
    metrics = evals.run(evals.EvalConfig(model=str(model_dir), **data))
    return ["eval", str(model_dir), *words], metrics


def test_json_and_table_hold_the_library_s_numbers(measured, capsys):
    words, metrics = measured
    assert set(metrics) >= {"bits_per_byte", "preference_accuracy"}
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == metrics
    assert run(words) == 0
    table = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert table == {name: f"{value:.4f}" for name, value in metrics.items()}


def test_a_model_without_data_is_refused(model_dir):
    assert_one_line_error(call_llmcore("eval", model_dir), "documents")
