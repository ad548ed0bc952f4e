"""The instruction-tuning stage: a model directory and a file of chats in, a chat model out."""

from collections.abc import Callable
from pathlib import Path

import torch

from llmcore.data import PackedBatch, SFTStream, best_fit_decreasing, packed_batch
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
from llmcore.tuning.config import SFTConfig
from llmcore.tuning.examples import load_examples
from llmcore.tuning.step import make_sft_step, mean_loss


def run(
    config: SFTConfig, *, out_dir: str | Path, resume: bool = True, quiet: bool = False
) -> StageResult:
    """Tune a model on chats, with loss on the assistant's turns.

    Writes run.toml, metrics.jsonl, tb/, checkpoints/ and the tuned model with its tokenizer and
    chat template into `out_dir`.

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
        "SFTConfig",
        model.config,
        seq_len=train.seq_len,
        num_token_ids=tokenizer.vocab_size,
    )
    examples, _ = load_examples(
        config.train_data, tokenizer, seq_len=train.seq_len, overlong=config.overlong
    )
    stream = SFTStream(
        examples,
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
            stage="sft", config=config, train=train, out_dir=out_dir, resume=resume, quiet=quiet
        ),
        state,
        make_sft_step(config.optim, num_steps=train.num_steps),
        stream,
        evaluate=_evaluation(config, model, tokenizer),
    )
    save_pretrained(model, out_dir, tokenizer=tokenizer, chat=True)
    return result


def _evaluation(
    config: SFTConfig, model: Decoder, tokenizer: Tokenizer
) -> Callable[[TrainState], dict[str, float]] | None:
    if not config.val_data:
        return None
    batches = _val_batches(config, tokenizer)
    return lambda state: {"val_loss": mean_loss(model, batches)}


def _val_batches(config: SFTConfig, tokenizer: Tokenizer) -> list[PackedBatch]:
    train = config.train
    examples, _ = load_examples(
        config.val_data, tokenizer, seq_len=train.seq_len, overlong=config.overlong
    )
    lengths = [len(example.input_ids) for example in examples]
    rows = [
        [examples[i] for i in row] for row in best_fit_decreasing(lengths, capacity=train.seq_len)
    ]
    size = train.rows_per_batch // train.micro_batches
    return [
        packed_batch(rows[start : start + size], seq_len=train.seq_len)
        for start in range(0, len(rows), size)
    ]
