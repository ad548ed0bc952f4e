"""Pre-training recipes, from a minute on two cores to a day on one GPU."""

from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.pretraining import PretrainConfig
from llmcore.recipes.quickstart import quickstart
from llmcore.training import TrainConfig


def tiny() -> PretrainConfig:
    """The quickstart's pre-training stage by itself: minutes on two CPU cores.

    Starts from the tokenizer that `llmcore quickstart` leaves.
    """
    whole = quickstart()
    return PretrainConfig(
        tokenizer="runs/quickstart/tokenizer",
        model=whole.model,
        optim=whole.pretrain.optim,
        train=whole.pretrain.train,
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
