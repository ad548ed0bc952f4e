"""Instruction tuning as one plain loop: one chat at a time, no packing, nothing of `training/`.

    python -m llmcore.recipes.plain.sft runs/quickstart/sft/run.toml

reads the configuration of a finished run, trains again and prints each loss. A test holds that
these losses are those of the real stage, which packs chats into rows and masks between them.
"""

import math
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.config import from_table
from llmcore.data import SFTStream, chat_example, encode_chat, fit_examples, read_conversations
from llmcore.models import load_pretrained
from llmcore.tokenizers import Tokenizer
from llmcore.tuning import SFTConfig


def sft(config: SFTConfig, *, num_steps: int | None = None) -> list[float]:
    """Tune by `config` and return the loss of every step.

    Args:
        config: The run.
        num_steps: Stop after so many steps; the schedule is still that of the whole run.
    """
    model = load_pretrained(config.init_from)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [param for param in model.parameters() if param.ndim >= 2],
                "weight_decay": config.optim.weight_decay,
            },
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=config.optim.betas,
        eps=config.optim.eps,
    )
    batches = chats_by_step(config)
    losses = []
    for step in range(num_steps or config.train.num_steps):
        chats = next(batches)
        num_trained = sum(int((labels >= 0).sum()) for _, labels in chats)
        loss = 0.0
        for inputs, labels in chats:
            logits = model(inputs[None])[0]
            # Labels of -100 (system, user, headers) are passed over by cross_entropy.
            share = F.cross_entropy(logits, labels, reduction="sum") / num_trained
            share.backward()
            loss += share.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return losses


def chats_by_step(config: SFTConfig) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The chats of each optimiser step in the order of the real stage: (inputs, shifted labels)."""
    train = config.train
    tokenizer = Tokenizer.load(config.tokenizer or config.init_from)
    chats = [encode_chat(tokenizer, messages) for messages in read_conversations(config.train_data)]
    examples, _ = fit_examples(
        [chat_example(chat) for chat in chats], seq_len=train.seq_len, overlong=config.overlong
    )
    stream = SFTStream(
        examples,
        seq_len=train.seq_len,
        rows_per_batch=train.rows_per_batch,
        micro_batches=1,
        seed=train.seed,
    )
    for (batch,) in stream:
        step_chats = []
        for inputs, labels, segments in zip(
            batch.input_ids, batch.labels, batch.segment_ids, strict=True
        ):
            for segment in range(int(segments.max()) + 1):
                inside = segments == segment
                step_chats.append((inputs[inside], labels[inside]))
        yield step_chats


def learning_rate(step: int, config: SFTConfig) -> float:
    """Linear warm-up, then half a cosine down to `min_lr_ratio` of the peak."""
    optim = config.optim
    if step < optim.warmup_steps:
        return optim.peak_lr * (step + 1) / optim.warmup_steps
    done = (step - optim.warmup_steps) / (config.train.num_steps - optim.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return optim.peak_lr * (optim.min_lr_ratio + (1 - optim.min_lr_ratio) * cosine)


def main() -> None:
    """Tune by the run.toml named on the command line."""
    record = tomllib.loads(Path(sys.argv[1]).read_text())
    for step, loss in enumerate(sft(from_table(SFTConfig, record["config"])), start=1):
        print(f"step {step}  loss {loss:.6f}")


if __name__ == "__main__":
    main()
