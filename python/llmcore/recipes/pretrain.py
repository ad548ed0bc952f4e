"""Pre-training recipes, from a minute on two cores to a day on one GPU."""

from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.pretraining import PretrainConfig
from llmcore.training import TrainConfig

QUICKSTART_TOKENIZER = "runs/quickstart/tokenizer"


def tiny() -> PretrainConfig:
    """About 1.4 million parameters on 5 million tokens: minutes on two CPU cores.

    Starts from the tokenizer that `llmcore quickstart` leaves (at most 4,096 ids).
    """
    return PretrainConfig(
        tokenizer=QUICKSTART_TOKENIZER,
        model=DecoderConfig(
            vocab_size=4096,
            hidden_size=128,
            intermediate_size=384,
            num_layers=4,
            num_heads=4,
            num_kv_heads=2,
            head_dim=32,
            max_seq_len=512,
        ),
        optim=OptimConfig(peak_lr=3e-3, warmup_steps=50),
        train=TrainConfig(num_steps=1200, rows_per_batch=16, seq_len=256),
    )


def small() -> PretrainConfig:
    """About 34 million parameters on 600 million tokens: for your own text and one GPU.

    Set `tokenizer` and `data`; train the tokenizer with 32,768 ids.
    """
    return PretrainConfig(
        tokenizer="runs/tokenizer",
        model=DecoderConfig(
            vocab_size=32_768,
            hidden_size=448,
            intermediate_size=1216,
            num_layers=8,
            num_heads=7,
            num_kv_heads=7,
            head_dim=64,
            max_seq_len=1024,
        ),
        optim=OptimConfig(peak_lr=1e-3, warmup_steps=500),
        train=TrainConfig(
            num_steps=9_200,
            rows_per_batch=64,
            micro_batches=4,
            seq_len=1024,
            checkpoint_every=500,
            log_every=10,
            eval_every=500,
        ),
    )
