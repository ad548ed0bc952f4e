"""The plain loop of instruction tuning gives the losses of the real stage."""

import json
from pathlib import Path

import pytest

from llmcore.models import save_pretrained
from llmcore.optim import OptimConfig
from llmcore.recipes.plain.sft import sft
from llmcore.training import TrainConfig
from llmcore.tuning import SFTConfig, run
from tests.support.tiny_chat import tiny_decoder, tiny_tokenizer, write_sums


def test_plain_loop_equals_the_stage_for_twenty_steps(tmp_path: Path) -> None:
    save_pretrained(tiny_decoder(), tmp_path / "base", tokenizer=tiny_tokenizer())
    config = SFTConfig(
        init_from=str(tmp_path / "base"),
        train_data=str(write_sums(tmp_path / "sft.jsonl", 13)),
        optim=OptimConfig(peak_lr=3e-3, warmup_steps=5, weight_decay=0.1),
        train=TrainConfig(num_steps=20, rows_per_batch=4, micro_batches=2, seq_len=64),
    )
    result = run(config, out_dir=tmp_path / "sft", quiet=True)
    stage = [json.loads(line)["loss"] for line in result.metrics_path.read_text().splitlines()]
    assert len(stage) == 20
    assert sft(config) == pytest.approx(stage, abs=1e-4)
    assert stage[-1] < 0.8 * stage[0]
