"""The quickstart: from text to a chat model on two CPU cores, in minutes."""

from dataclasses import replace

from llmcore.errors import ConfigError
from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.pipeline import PipelineConfig, StageConfig
from llmcore.training import TrainConfig

_PYTHON_BYTES = 4_000_000
_USER_BYTES = 32_000_000


def quickstart(scale: str = "full", data: str = "") -> PipelineConfig:
    """The whole path at one of two lengths.

    Args:
        scale: `full` reaches the targets within ten minutes; `smoke` runs the same steps in about
            one, to see that they work.
        data: Text, JSONL or Parquet, a file or a folder; empty = the corpus that Python carries.

    Raises:
        ConfigError: another scale.
    """
    match scale:
        case "full":
            return _full(data)
        case "smoke":
            return _smoke(data)
        case _:
            raise ConfigError(f"quickstart: scale must be full or smoke, got {scale!r}")


def _full(data: str) -> PipelineConfig:
    return PipelineConfig(
        data=data,
        max_data_bytes=_USER_BYTES if data else _PYTHON_BYTES,
        val_fraction=0.06,
        vocab_size=2048,
        model=DecoderConfig(
            vocab_size=2048,
            hidden_size=128,
            intermediate_size=384,
            num_layers=4,
            num_heads=4,
            num_kv_heads=2,
            head_dim=32,
            max_seq_len=256,
            init_std=0.04,
        ),
        # Many small steps: at these lengths the number of updates, not of tokens, is the limit.
        pretrain=StageConfig(
            train=TrainConfig(
                num_steps=4400, rows_per_batch=2, seq_len=256, checkpoint_every=500, log_every=5
            ),
            optim=OptimConfig(peak_lr=2e-3, min_lr_ratio=0.01, warmup_steps=120),
        ),
        sft=StageConfig(
            train=TrainConfig(
                num_steps=2000, rows_per_batch=2, seq_len=256, checkpoint_every=500, log_every=5
            ),
            optim=OptimConfig(peak_lr=1.5e-3, min_lr_ratio=0.01, warmup_steps=60),
        ),
        dpo=StageConfig(
            train=TrainConfig(num_steps=100, rows_per_batch=8, seq_len=256, checkpoint_every=50),
            optim=OptimConfig(peak_lr=4e-5, min_lr_ratio=0.1, warmup_steps=10, weight_decay=0.0),
        ),
        num_exercises=18_000,
        num_style_chats=4_000,
        num_pairs=1_200,
    )


def _smoke(data: str) -> PipelineConfig:
    full = _full(data)

    def shorter(stage: StageConfig, num_steps: int) -> StageConfig:
        return replace(
            stage,
            train=replace(stage.train, num_steps=num_steps, checkpoint_every=num_steps),
            optim=replace(stage.optim, warmup_steps=num_steps // 10),
        )

    return replace(
        full,
        max_data_bytes=2_000_000,
        pretrain=shorter(full.pretrain, 200),
        sft=shorter(full.sft, 100),
        dpo=shorter(full.dpo, 20),
        num_exercises=2_400,
        num_style_chats=400,
        num_pairs=200,
        num_eval_exercises=8,
        num_eval_pairs=80,
    )
