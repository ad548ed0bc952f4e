"""The DPO stage end to end: files, learning, exact resume, refusals with nothing half-written."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llmcore.alignment import DPOConfig, run
from llmcore.errors import ConfigError, DataError, Interrupted
from llmcore.models import load_pretrained, save_pretrained
from llmcore.optim import OptimConfig
from llmcore.training import StageResult, TrainConfig
from tests.support.interrupting import interrupt_after
from tests.support.tiny_chat import tiny_decoder, tiny_tokenizer, write_pairs


@pytest.fixture
def config(tmp_path: Path) -> DPOConfig:
    save_pretrained(tiny_decoder(), tmp_path / "base", tokenizer=tiny_tokenizer(), chat=True)
    return DPOConfig(
        init_from=str(tmp_path / "base"),
        train_data=str(write_pairs(tmp_path / "dpo.jsonl", 12)),
        val_data=str(write_pairs(tmp_path / "val.jsonl", 5)),
        beta=0.5,
        kl_every=4,
        optim=OptimConfig(peak_lr=2e-3, warmup_steps=2, weight_decay=0.0),
        train=TrainConfig(
            num_steps=12, rows_per_batch=4, micro_batches=2, seq_len=96, checkpoint_every=5
        ),
    )


def _rows(result: StageResult) -> list[dict[str, float]]:
    return [json.loads(line) for line in result.metrics_path.read_text().splitlines()]


def test_the_stage_learns_from_ln_2(config: DPOConfig, tmp_path: Path) -> None:
    result = run(config, out_dir=tmp_path / "dpo", quiet=True)
    rows = _rows(result)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < 0.3
    assert rows[-1]["val_accuracy"] == 1.0
    assert rows[-1]["kl_to_reference"] > 0
    assert {"chosen_logprob", "rejected_logprob", "reward_margin"} <= rows[-1].keys()
    for name in ("run.toml", "config.json", "model.safetensors", "tokenizer.json", "checkpoints"):
        assert (tmp_path / "dpo" / name).exists()
    # The reference on disk is untouched.
    base = load_pretrained(config.init_from)
    assert torch.equal(base.embed.weight, tiny_decoder().embed.weight)


def test_interrupted_and_resumed_equals_straight(config: DPOConfig, tmp_path: Path) -> None:
    straight = run(config, out_dir=tmp_path / "straight", quiet=True)
    with interrupt_after(7), pytest.raises(Interrupted):
        run(config, out_dir=tmp_path / "resumed", quiet=True)
    assert not (tmp_path / "resumed" / "model.safetensors").exists()
    resumed = run(config, out_dir=tmp_path / "resumed", quiet=True)
    varying = ("tokens_per_s", "time_s", "rss_mb")
    for a, b in zip(_rows(straight), _rows(resumed), strict=True):
        assert {k: v for k, v in a.items() if k not in varying} == {
            k: v for k, v in b.items() if k not in varying
        }
    for p, q in zip(
        load_pretrained(straight.model_dir).parameters(),
        load_pretrained(resumed.model_dir).parameters(),
        strict=True,
    ):
        assert torch.equal(p, q)


@pytest.mark.parametrize("name", ["train_data", "val_data"])
def test_bad_data_is_refused_before_anything_is_written(
    config: DPOConfig, tmp_path: Path, name: str
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": 3}\n')
    with pytest.raises(DataError, match=r"bad.jsonl:1: prompt must be a non-empty list"):
        run(replace(config, **{name: str(bad)}), out_dir=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_rows_longer_than_the_model_are_refused(config: DPOConfig, tmp_path: Path) -> None:
    long = replace(config, train=replace(config.train, seq_len=257))
    with pytest.raises(ConfigError, match=r"train.seq_len must be at most .* = 256, got 257"):
        run(long, out_dir=tmp_path / "out", quiet=True)
