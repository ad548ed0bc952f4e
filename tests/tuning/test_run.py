"""The SFT stage end to end: files, learning, exact resume, refusals with nothing half-written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llmcore.errors import ConfigError, DataError, Interrupted
from llmcore.models import DecoderConfig, load_pretrained, save_pretrained
from llmcore.optim import OptimConfig
from llmcore.tokenizers import Tokenizer
from llmcore.training import StageResult, TrainConfig
from llmcore.tuning import SFTConfig, run
from tests.support.interrupting import interrupt_after
from tests.support.tiny_chat import tiny_decoder, tiny_tokenizer, write_sums


@pytest.fixture
def config(tmp_path: Path) -> SFTConfig:
    save_pretrained(tiny_decoder(), tmp_path / "base", tokenizer=tiny_tokenizer())
    return SFTConfig(
        init_from=str(tmp_path / "base"),
        train_data=str(write_sums(tmp_path / "sft.jsonl", 12)),
        val_data=str(write_sums(tmp_path / "val.jsonl", 4)),
        optim=OptimConfig(peak_lr=1e-2, warmup_steps=2, weight_decay=0.0),
        train=TrainConfig(
            num_steps=12, rows_per_batch=2, micro_batches=2, seq_len=96, checkpoint_every=5
        ),
    )


def _rows(result: StageResult) -> list[dict[str, float]]:
    return [json.loads(line) for line in result.metrics_path.read_text().splitlines()]


def test_the_stage_learns_and_leaves_a_chat_model(config: SFTConfig, tmp_path: Path) -> None:
    result = run(config, out_dir=tmp_path / "sft", quiet=True)
    rows = _rows(result)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["val_loss"] < rows[0]["loss"]
    assert result.model_dir == tmp_path / "sft"
    for name in ("run.toml", "config.json", "model.safetensors", "tokenizer.json", "checkpoints"):
        assert (tmp_path / "sft" / name).exists()
    tuned, base = load_pretrained(tmp_path / "sft"), load_pretrained(config.init_from)
    assert not torch.equal(tuned.embed.weight, base.embed.weight)
    assert Tokenizer.load(tmp_path / "sft").token_to_id("<|im_end|>") == 2


def test_interrupted_and_resumed_equals_straight(config: SFTConfig, tmp_path: Path) -> None:
    straight = run(config, out_dir=tmp_path / "straight", quiet=True)
    with interrupt_after(7), pytest.raises(Interrupted):
        run(config, out_dir=tmp_path / "resumed", quiet=True)
    assert not (tmp_path / "resumed" / "model.safetensors").exists()
    resumed = run(config, out_dir=tmp_path / "resumed", quiet=True)
    for name in ("loss", "grad_norm", "lr", "tokens_seen"):
        assert [r[name] for r in _rows(straight)] == [r[name] for r in _rows(resumed)]
    for a, b in zip(
        load_pretrained(straight.model_dir).parameters(),
        load_pretrained(resumed.model_dir).parameters(),
        strict=True,
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["train_data", "val_data"])
def test_bad_data_is_refused_before_anything_is_written(
    config: SFTConfig, tmp_path: Path, name: str
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"messages": 3}\n')
    with pytest.raises(DataError, match=r"bad.jsonl:1: messages must be a non-empty list"):
        run(replace(config, **{name: str(bad)}), out_dir=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_rows_longer_than_the_model_are_refused(config: SFTConfig, tmp_path: Path) -> None:
    long = replace(config, train=replace(config.train, seq_len=257))
    with pytest.raises(ConfigError, match=r"train.seq_len must be at most .* = 256, got 257"):
        run(long, out_dir=tmp_path / "out", quiet=True)


def test_tokenizer_larger_than_the_model_is_refused(config: SFTConfig, tmp_path: Path) -> None:
    small = tiny_decoder(vocab_size=270)
    assert isinstance(small.config, DecoderConfig)
    save_pretrained(small, tmp_path / "small")
    tiny_tokenizer().save(tmp_path / "tokenizer.json")
    mixed = replace(
        config, init_from=str(tmp_path / "small"), tokenizer=str(tmp_path / "tokenizer.json")
    )
    with pytest.raises(ConfigError, match="vocab_size = 270 tokens, got 280"):
        run(mixed, out_dir=tmp_path / "out", quiet=True)
