"""The whole path: complete, resumable, repeatable."""

import importlib
import json
import shutil
from dataclasses import replace

import pytest
import torch

from llmcore.checkpoint import load_tensors
from llmcore.errors import ConfigError
from llmcore.pipeline import Layout, prepare
from llmcore.pipeline import run as run_pipeline
from llmcore.training import read_run_record

RUN_MODULE = importlib.import_module("llmcore.pipeline.run")


def test_everything_is_left_where_it_is_promised(finished, toy_pipeline):
    layout, metrics = finished
    wanted = {"tokenizer", "pretrain", "sft", "dpo", "data", "eval", "run.toml", "metrics.json"}
    assert wanted | {"report.html", "report.png"} == {p.name for p in layout.root.iterdir()}
    assert json.loads(layout.metrics.read_text()) == metrics
    assert read_run_record(layout.root).stage == "quickstart"
    assert set(metrics["targets"]) == {"language", "skills", "preferences", "retention"}
    assert metrics["num_params"] == toy_pipeline.model.num_params()


def test_a_second_run_repeats_nothing(finished, toy_pipeline, monkeypatch):
    layout, metrics = finished

    def refuse(*arguments, **keywords):
        raise AssertionError("a finished step ran again")

    monkeypatch.setattr(prepare, "gather_documents", refuse)
    monkeypatch.setattr(RUN_MODULE, "run_stage", refuse)
    again = run_pipeline(toy_pipeline, out_dir=layout.root, quiet=True)
    assert again == metrics


def test_an_interrupted_run_goes_on_and_ends_the_same(
    finished, toy_pipeline, tmp_path, monkeypatch
):
    layout, metrics = finished
    root = tmp_path / "again"
    real = RUN_MODULE.run_stage

    def interrupted(name, *arguments, **keywords):
        if name == "sft":
            raise KeyboardInterrupt
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(RUN_MODULE, "run_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(toy_pipeline, out_dir=root, quiet=True)
    assert not (root / "metrics.json").exists()
    monkeypatch.undo()
    again = run_pipeline(toy_pipeline, out_dir=root, quiet=True)
    assert again["language"] == metrics["language"]
    assert again["chat"] == metrics["chat"]
    ends = [load_tensors(r / "dpo" / "model.safetensors") for r in (root, layout.root)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_lost_output_is_made_again(finished, toy_pipeline, tmp_path):
    layout, metrics = finished
    root = tmp_path / "copy"
    shutil.copytree(layout.root, root)
    shutil.rmtree(root / "tokenizer")
    run_pipeline(toy_pipeline, out_dir=root, quiet=True)
    assert (root / "tokenizer" / "tokenizer.json").is_file()


def test_another_config_in_the_same_place_is_refused(finished, toy_pipeline):
    layout, _ = finished
    with pytest.raises(ConfigError, match=r"dpo_beta must be 0\.1 .* got 0\.2"):
        run_pipeline(replace(toy_pipeline, dpo_beta=0.2), out_dir=layout.root, quiet=True)
    assert Layout(layout.root).metrics.is_file()
