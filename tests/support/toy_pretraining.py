"""A pre-training run that takes a second."""

import json
from pathlib import Path

from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.pretraining import PretrainConfig
from llmcore.training import TrainConfig
from tests.support.toy import VOCAB_SIZE


def toy_config(tokenizer: str | Path, data: str | Path, **train: int) -> PretrainConfig:
    """A two-layer model, 24 steps of four rows of 32 tokens; `train` replaces fields of these."""
    return PretrainConfig(
        tokenizer=str(tokenizer),
        data=str(data),
        model=DecoderConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=32,
            intermediate_size=64,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_dim=8,
            max_seq_len=64,
        ),
        optim=OptimConfig(peak_lr=1e-2, warmup_steps=4),
        train=TrainConfig(
            **{
                "num_steps": 24,
                "rows_per_batch": 4,
                "seq_len": 32,
                "checkpoint_every": 5,
                **train,
            }
        ),
        val_fraction=0.2,
        val_rows=4,
    )


def write_documents(path: Path) -> Path:
    """Write sixty short documents as JSONL."""
    texts = (
        "".join(f"def function_{i}(x):\n    return x + {i + j}\n" for j in range(i % 5 + 1))
        for i in range(60)
    )
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path
