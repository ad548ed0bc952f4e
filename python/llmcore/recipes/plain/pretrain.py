"""Pre-training as one plain loop: nothing of `training/`, `optim/` or the batch stream.

    python -m llmcore.recipes.plain.pretrain runs/quickstart/pretrain/run.toml

reads the configuration of a finished run, trains again and prints each loss. A test holds that
these losses are those of the real stage.
"""

import math
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.config import from_table
from llmcore.data.documents import read_documents, split_documents
from llmcore.data.python_corpus import python_documents
from llmcore.models import Decoder
from llmcore.pretraining import PretrainConfig
from llmcore.tokenizers import END_OF_TEXT, Tokenizer

Rows = tuple[Tensor, Tensor, Tensor, Tensor]
"""Inputs, labels, positions and segment ids, each (rows, seq_len)."""


def pretrain(config: PretrainConfig, *, num_steps: int | None = None) -> list[float]:
    """Train by `config` and return the loss of every step.

    Args:
        config: The run.
        num_steps: Stop after so many steps; the schedule is still that of the whole run.
    """
    train = config.train
    tokenizer = Tokenizer.load(config.tokenizer)
    separator = tokenizer.token_to_id(END_OF_TEXT)
    assert separator is not None
    documents = read_documents(config.data) if config.data else python_documents()
    kept, _ = split_documents(documents, val_fraction=config.val_fraction, seed=config.split_seed)
    token_lists = [tokenizer.encode(document.text) for document in kept]
    rows_per_epoch = max(1, sum(len(ids) + 1 for ids in token_lists) // train.seq_len)
    rows = shuffled_rows(
        packed_rows(token_lists, separator, seq_len=train.seq_len, seed=train.seed),
        rows_per_epoch,
        seed=train.seed,
    )

    model = Decoder(config.model, generator=torch.Generator().manual_seed(train.seed))
    optimizer = make_optimizer(model, config)
    losses = []
    for step in range(num_steps or train.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        micro_batches = [
            stack_rows(rows, train.rows_per_batch // train.micro_batches)
            for _ in range(train.micro_batches)
        ]
        num_trained = sum(labels.numel() for _, labels, _, _ in micro_batches)
        loss = 0.0
        for inputs, labels, positions, segments in micro_batches:
            logits = model(inputs, positions=positions, segment_ids=segments)
            token_losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
            share = token_losses / num_trained
            share.backward()
            loss += share.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return losses


def make_optimizer(model: Decoder, config: PretrainConfig) -> torch.optim.AdamW:
    """PyTorch's AdamW with decay on weights that have two or more axes."""
    params = list(model.parameters())
    return torch.optim.AdamW(
        [
            {
                "params": [param for param in params if param.ndim >= 2],
                "weight_decay": config.optim.weight_decay,
            },
            {"params": [param for param in params if param.ndim < 2], "weight_decay": 0.0},
        ],
        betas=config.optim.betas,
        eps=config.optim.eps,
    )


def learning_rate(step: int, config: PretrainConfig) -> float:
    """Linear warm-up, then half a cosine down to `min_lr_ratio` of the peak."""
    optim = config.optim
    if step < optim.warmup_steps:
        return optim.peak_lr * (step + 1) / optim.warmup_steps
    done = (step - optim.warmup_steps) / (config.train.num_steps - optim.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return optim.peak_lr * (optim.min_lr_ratio + (1 - optim.min_lr_ratio) * cosine)


def packed_rows(
    token_lists: list[list[int]], separator: int, *, seq_len: int, seed: int
) -> Iterator[list[list[int]]]:
    """Rows for ever: [inputs, labels, positions, segments], documents cut at row ends."""
    row: list[list[int]] = [[], [], [], []]
    epoch = 0
    while True:
        order = np.random.default_rng((seed, epoch)).permutation(len(token_lists))
        for document in order:
            tokens = [separator, *token_lists[document], separator]
            segment = row[3][-1] + 1 if row[3] else 0
            position = 0
            for token, label in zip(tokens[:-1], tokens[1:], strict=True):
                for column, value in zip(row, (token, label, position, segment), strict=True):
                    column.append(value)
                position += 1
                if len(row[0]) == seq_len:
                    yield row
                    row = [[], [], [], []]
                    position, segment = 0, 0
        epoch += 1


def shuffled_rows(
    rows: Iterator[list[list[int]]], rows_per_epoch: int, *, seed: int
) -> Iterator[list[list[int]]]:
    """The rows of each epoch in random order, so that a batch is not one document."""
    epoch = 0
    while True:
        block = [next(rows) for _ in range(rows_per_epoch)]
        for idx in np.random.default_rng((seed, epoch, 1)).permutation(rows_per_epoch):
            yield block[idx]
        epoch += 1


def stack_rows(rows: Iterator[list[list[int]]], count: int) -> Rows:
    """The next `count` rows as four tensors."""
    taken = [next(rows) for _ in range(count)]
    inputs, labels, positions, segments = (
        torch.tensor([row[part] for row in taken]) for part in range(4)
    )
    return inputs, labels, positions, segments


def main() -> None:
    """Train by the run.toml named on the command line."""
    record = tomllib.loads(Path(sys.argv[1]).read_text())
    for step, loss in enumerate(pretrain(from_table(PretrainConfig, record["config"])), start=1):
        print(f"step {step}  loss {loss:.6f}")


if __name__ == "__main__":
    main()
