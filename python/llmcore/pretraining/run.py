"""The pre-training stage: documents in, a model directory out."""

from pathlib import Path

import torch

from llmcore.data import PackedBatch, PretrainStream, TokenizedDocuments, concatenate_rows
from llmcore.errors import ConfigError, DataError
from llmcore.models import Decoder, save_pretrained
from llmcore.optim import AdamW
from llmcore.pretraining.config import PretrainConfig
from llmcore.pretraining.corpus import tokenize_corpus
from llmcore.pretraining.step import make_pretrain_step, mean_token_loss
from llmcore.tokenizers import Tokenizer
from llmcore.training import StageResult, StageRun, TrainState, train_stage


def run(
    config: PretrainConfig, *, out_dir: str | Path, resume: bool = True, quiet: bool = False
) -> StageResult:
    """Pre-train a decoder, or go on where a former process with this config stopped.

    Args:
        config: The whole run.
        out_dir: Gets the model in the Hugging Face layout, run.toml, metrics.jsonl, tb/,
            checkpoints/ and the token cache.
        resume: Go on from the newest checkpoint; False starts afresh.
        quiet: Show no progress.

    Raises:
        ConfigError: values contradict each other, the tokenizer or the checkpoint.
        DataError: missing, empty or malformed data.
        CheckpointError: damaged checkpoints, or a file cannot be written.
        TrainingError: a loss or gradient norm is not finite.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was saved.
    """
    out_dir = Path(out_dir)
    tokenizer = Tokenizer.load(config.tokenizer)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create {out_dir}: {error.strerror}") from error
    corpus = tokenize_corpus(config, tokenizer, out_dir)
    model = initial_model(config)
    state = initial_state(model, config)
    batches = make_stream(config, corpus.train, corpus.separator_id)
    val_batches = held_out_batches(config, corpus.val, corpus.separator_id)
    step_fn = make_pretrain_step(config.optim, num_steps=config.train.num_steps)
    stage_run = StageRun(
        stage="pretrain",
        config=config,
        train=config.train,
        out_dir=out_dir,
        resume=resume,
        quiet=quiet,
    )
    result = train_stage(
        stage_run,
        state,
        step_fn,
        batches,
        evaluate=lambda state: {"val_loss": mean_token_loss(state.model, val_batches)},
    )
    save_pretrained(model, out_dir, tokenizer=tokenizer)
    return result


def initial_model(config: PretrainConfig) -> Decoder:
    """Random weights by `train.seed`.

    Args:
        config: The whole run.
    """
    return Decoder(config.model, generator=torch.Generator().manual_seed(config.train.seed))


def initial_state(model: Decoder, config: PretrainConfig) -> TrainState:
    """A fresh optimiser over `model`, at step 0.

    Args:
        model: Trained in place.
        config: The whole run.
    """
    return TrainState(
        model=model,
        optimizer=AdamW(model.named_parameters(), config.optim),
        generator=torch.Generator().manual_seed(config.train.seed),
    )


def make_stream(
    config: PretrainConfig, documents: TokenizedDocuments, separator_id: int
) -> PretrainStream:
    """The training batches from the first on.

    Args:
        config: Batch shape and seed.
        documents: Training part.
        separator_id: Id of <|endoftext|>.
    """
    return PretrainStream(
        documents,
        separator_id=separator_id,
        seq_len=config.train.seq_len,
        rows_per_batch=config.train.rows_per_batch,
        micro_batches=config.train.micro_batches,
        seed=config.train.seed,
        shuffle_rows=True,
    )


def held_out_batches(
    config: PretrainConfig, documents: TokenizedDocuments, separator_id: int
) -> list[PackedBatch]:
    """The held-out rows that `val_loss` is measured on: whole rows, none twice.

    Args:
        config: Batch shape and number of rows.
        documents: Held-out part.
        separator_id: Id of <|endoftext|>.

    Raises:
        DataError: the held-out part fills not even one row.
    """
    rows = config.train.rows_per_batch // config.train.micro_batches
    stream = PretrainStream(
        documents, separator_id=separator_id, seq_len=config.train.seq_len, rows_per_batch=1
    )
    num_rows = min(config.val_rows, stream.tokens_per_epoch // config.train.seq_len)
    if num_rows == 0:
        raise DataError(
            f"held-out documents must fill a row of {config.train.seq_len} tokens, "
            f"got {stream.tokens_per_epoch}"
        )
    singles = [batch for row in range(num_rows) for batch in stream.batch_at(row)]
    return [concatenate_rows(singles[start : start + rows]) for start in range(0, num_rows, rows)]
