"""The stage as a whole: what it leaves, what it learns, how it fails."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest
import torch

from llmcore.errors import ConfigError, DataError, Interrupted
from llmcore.models import load_pretrained
from llmcore.pretraining import held_out_batches, run, tokenize_corpus
from llmcore.pretraining import run as run_stage
from llmcore.tokenizers import Tokenizer
from llmcore.training import read_metrics
from tests.support.toy_pretraining import toy_config


def test_it_learns_and_leaves_a_model_directory(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path
):
    config = toy_config(tokenizer_dir, documents_file, eval_every=12)
    result = run(config, out_dir=tmp_path / "out", quiet=True)
    rows = read_metrics(result.metrics_path)
    assert [row["step"] for row in rows] == list(range(1, 25))
    assert rows[-1]["loss"] == result.final_loss < 0.8 * rows[0]["loss"]
    assert [row["step"] for row in rows if "val_loss" in row] == [12, 24]
    assert rows[-1]["val_loss"] < rows[0]["loss"]
    assert result.tokens == config.num_tokens()
    model = load_pretrained(result.model_dir)
    assert model.config == config.model
    names = {path.name for path in result.model_dir.iterdir()}
    assert {"run.toml", "metrics.jsonl", "tb", "checkpoints", "tokenizer.json"} <= names


def test_a_second_run_gives_the_same_weights(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path
):
    config = toy_config(tokenizer_dir, documents_file, num_steps=6)
    for name in ("a", "b"):
        run(config, out_dir=tmp_path / name, quiet=True)
    first, second = (load_pretrained(tmp_path / name) for name in ("a", "b"))
    for own, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(own, other)


def test_micro_batches_change_nothing(tokenizer_dir: Path, documents_file: Path, tmp_path: Path):
    losses = []
    for micro_batches in (1, 4):
        config = toy_config(tokenizer_dir, documents_file, micro_batches=micro_batches)
        result = run(config, out_dir=tmp_path / str(micro_batches), quiet=True)
        losses.append([row["loss"] for row in read_metrics(result.metrics_path)])
    assert losses[0][:6] == pytest.approx(losses[1][:6], rel=1e-6)


def test_held_out_rows_are_whole_and_none_twice(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path
):
    config = toy_config(tokenizer_dir, documents_file)
    corpus = tokenize_corpus(config, Tokenizer.load(tokenizer_dir), tmp_path)
    many = dataclasses.replace(config, val_rows=10**6)
    batches = held_out_batches(many, corpus.val, corpus.separator_id)
    rows = sum(batch.input_ids.shape[0] for batch in batches)
    assert rows == (corpus.val.ids.size + corpus.val.num_documents) // 32
    few = held_out_batches(config, corpus.val, corpus.separator_id)
    assert sum(batch.input_ids.shape[0] for batch in few) == min(4, rows)


def test_ctrl_c_checkpoints_and_the_rest_is_the_same_run(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = toy_config(tokenizer_dir, documents_file, num_steps=9)
    run(config, out_dir=tmp_path / "straight", quiet=True)
    module = __import__("sys").modules["llmcore.pretraining.run"]
    make_step = module.make_pretrain_step

    def make_interrupting_step(optim, *, num_steps):
        step = make_step(optim, num_steps=num_steps)

        def interrupting(state, micro_batches):
            if state.step == 6:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(state, micro_batches)

        return interrupting

    with monkeypatch.context() as patch:
        patch.setattr(module, "make_pretrain_step", make_interrupting_step)
        with pytest.raises(Interrupted, match="SIGTERM: stopped after step 7; checkpoint saved"):
            run_stage(config, out_dir=tmp_path / "broken", quiet=True)
    run(config, out_dir=tmp_path / "broken", quiet=True)
    rows = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("straight", "broken")]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]


def test_a_user_s_mistakes_leave_nothing_half_written(
    tokenizer_dir: Path, documents_file: Path, tmp_path: Path
):
    good = toy_config(tokenizer_dir, documents_file)
    cases = [
        (dataclasses.replace(good, data=str(tmp_path / "none.txt")), DataError),
        (dataclasses.replace(good, tokenizer=str(tmp_path / "none")), DataError),
        (
            dataclasses.replace(good, model=dataclasses.replace(good.model, vocab_size=300)),
            ConfigError,
        ),
    ]
    for config, error in cases:
        with pytest.raises(error) as caught:
            run(config, out_dir=tmp_path / "out", quiet=True)
        assert "\n" not in str(caught.value)
        assert not list((tmp_path / "out").glob("*"))
