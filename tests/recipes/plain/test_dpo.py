"""The plain loop of DPO gives the losses of the real stage."""

import json
from pathlib import Path

import pytest

from llmcore.alignment import DPOConfig, run
from llmcore.models import save_pretrained
from llmcore.optim import OptimConfig
from llmcore.recipes.plain.dpo import dpo
from llmcore.training import TrainConfig
from tests.support.tiny_chat import tiny_decoder, tiny_tokenizer, write_pairs


@pytest.mark.parametrize(("label_smoothing", "sft_coef"), [(0.0, 0.0), (0.1, 0.2)])
def test_plain_loop_equals_the_stage_for_twenty_steps(
    tmp_path: Path, label_smoothing: float, sft_coef: float
) -> None:
    save_pretrained(tiny_decoder(), tmp_path / "base", tokenizer=tiny_tokenizer(), chat=True)
    config = DPOConfig(
        init_from=str(tmp_path / "base"),
        train_data=str(write_pairs(tmp_path / "dpo.jsonl", 11)),
        beta=0.3,
        label_smoothing=label_smoothing,
        sft_coef=sft_coef,
        optim=OptimConfig(peak_lr=1e-3, warmup_steps=5, weight_decay=0.1),
        train=TrainConfig(num_steps=20, rows_per_batch=4, micro_batches=2, seq_len=96),
    )
    result = run(config, out_dir=tmp_path / "dpo", quiet=True)
    stage = [json.loads(line)["loss"] for line in result.metrics_path.read_text().splitlines()]
    assert len(stage) == 20
    assert dpo(config) == pytest.approx(stage, abs=1e-4)
    assert stage[-1] < 0.9 * stage[0]
