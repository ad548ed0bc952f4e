"""The preference stage: a chat model and a file of preferences in, an aligned model out."""

from collections.abc import Callable
from pathlib import Path

import torch

from llmcore.alignment.config import DPOConfig
from llmcore.alignment.pair_stream import PairStream, pair_batch
from llmcore.alignment.pairs import load_pairs
from llmcore.alignment.reference import reference_logprobs
from llmcore.alignment.step import evaluate_pairs, make_dpo_step
from llmcore.models import Decoder, load_pretrained, save_pretrained
from llmcore.optim import AdamW
from llmcore.tokenizers import Tokenizer
from llmcore.training import (
    StageResult,
    StageRun,
    TrainState,
    require_model_fits,
    train_stage,
)


def run(
    config: DPOConfig, *, out_dir: str | Path, resume: bool = True, quiet: bool = False
) -> StageResult:
    """Align a model with preferences by DPO.

    The reference is `init_from`, frozen; it scores all pairs once, before the first step. Writes
    run.toml, metrics.jsonl, tb/, checkpoints/ and the aligned model with its tokenizer and chat
    template into `out_dir`.

    Args:
        config: Inputs, batch shape and hyper-parameters.
        out_dir: Created if needed; an unfinished run there is continued.
        resume: False starts afresh.
        quiet: Show no progress.

    Raises:
        ConfigError: `seq_len` or the tokenizer does not fit the model.
        DataError: malformed or useless data.
        CheckpointError: damaged model or checkpoints.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was saved.
    """
    out_dir = Path(out_dir)
    train = config.train
    tokenizer = Tokenizer.load(config.tokenizer or config.init_from)
    model = load_pretrained(config.init_from, dtype=torch.float32)
    require_model_fits(
        "DPOConfig",
        model.config,
        seq_len=train.seq_len,
        num_token_ids=tokenizer.vocab_size,
    )
    pairs = load_pairs(config.train_data, tokenizer, seq_len=train.seq_len)
    reference = load_pretrained(config.init_from, dtype=torch.float32).requires_grad_(False)
    stream = PairStream(
        pairs,
        seq_len=train.seq_len,
        rows_per_batch=train.rows_per_batch,
        micro_batches=train.micro_batches,
        seed=train.seed,
    )
    state = TrainState(
        model=model,
        optimizer=AdamW(model.named_parameters(), config.optim),
        generator=torch.Generator().manual_seed(train.seed),
    )
    result = train_stage(
        StageRun(
            stage="dpo", config=config, train=train, out_dir=out_dir, resume=resume, quiet=quiet
        ),
        state,
        make_dpo_step(
            config,
            reference_logprobs(reference, pairs, seq_len=train.seq_len),
            reference=reference if config.kl_every else None,
        ),
        stream,
        evaluate=_evaluation(config, model, reference, tokenizer),
    )
    save_pretrained(model, out_dir, tokenizer=tokenizer, chat=True)
    return result


def _evaluation(
    config: DPOConfig, model: Decoder, reference: Decoder, tokenizer: Tokenizer
) -> Callable[[TrainState], dict[str, float]] | None:
    if not config.val_data:
        return None
    train = config.train
    pairs = load_pairs(config.val_data, tokenizer, seq_len=train.seq_len)
    ref_logprobs = reference_logprobs(reference, pairs, seq_len=train.seq_len)
    size = train.rows_per_batch // train.micro_batches
    batches = [
        pair_batch(pairs, range(start, min(start + size, len(pairs))), seq_len=train.seq_len)
        for start in range(0, len(pairs), size)
    ]
    return lambda state: evaluate_pairs(config, model, batches, ref_logprobs)
