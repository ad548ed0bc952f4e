"""DPO as one plain loop: one answer at a time, no packing, no cached reference log-probabilities.

    python -m llmcore.recipes.plain.dpo runs/quickstart/dpo/run.toml

reads the configuration of a finished run, trains again and prints each loss. A test holds that
these losses are those of the real stage, which packs both answers of many pairs into rows.
"""

import itertools
import math
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.alignment import DPOConfig
from llmcore.config import from_table
from llmcore.data import Message, encode_chat, epoch_order, read_preferences
from llmcore.models import Decoder, load_pretrained
from llmcore.tokenizers import Tokenizer

Tokens = tuple[Tensor, Tensor]
"""Inputs, and labels already shifted; only the answer is labelled, the prompt has -100."""


def dpo(config: DPOConfig, *, num_steps: int | None = None) -> list[float]:
    """Align by `config` and return the loss of every step.

    Args:
        config: The run.
        num_steps: Stop after so many steps; the schedule is still that of the whole run.
    """
    policy = load_pretrained(config.init_from)
    reference = load_pretrained(config.init_from)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [param for param in policy.parameters() if param.ndim >= 2],
                "weight_decay": config.optim.weight_decay,
            },
            {"params": [p for p in policy.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=config.optim.betas,
        eps=config.optim.eps,
    )
    batches = pairs_by_step(config)
    losses = []
    for step in range(num_steps or config.train.num_steps):
        pairs = next(batches)
        num_chosen_tokens = sum(int((labels >= 0).sum()) for (_, labels), _ in pairs)
        loss = 0.0
        for chosen, rejected in pairs:
            with torch.no_grad():
                ref_gap = answer_logprob(reference, chosen) - answer_logprob(reference, rejected)
            chosen_logprob = answer_logprob(policy, chosen)
            gap = chosen_logprob - answer_logprob(policy, rejected)
            scaled = config.beta * (gap - ref_gap)
            eps = config.label_smoothing
            preference = -(1 - eps) * F.logsigmoid(scaled) - eps * F.logsigmoid(-scaled)
            nll = -chosen_logprob / num_chosen_tokens
            share = preference / len(pairs) + config.sft_coef * nll
            share.backward()
            loss += share.item()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.optim.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return losses


def answer_logprob(model: Decoder, tokens: Tokens) -> Tensor:
    """log pi(y | x): the sum over the answer's tokens, in nats."""
    inputs, labels = tokens
    logprobs = model(inputs[None])[0].log_softmax(dim=-1)
    is_answer = labels >= 0
    return logprobs[is_answer].gather(-1, labels[is_answer, None]).sum()


def pairs_by_step(config: DPOConfig) -> Iterator[list[tuple[Tokens, Tokens]]]:
    """The (chosen, rejected) pairs of each optimiser step in the order of the real stage."""
    train = config.train
    tokenizer = Tokenizer.load(config.tokenizer or config.init_from)
    pairs = []
    for row in read_preferences(config.train_data):
        answers = [answer_tokens(tokenizer, row.prompt, row.chosen)]
        answers.append(answer_tokens(tokenizer, row.prompt, row.rejected))
        if max(len(inputs) for inputs, _ in answers) <= train.seq_len:
            pairs.append((answers[0], answers[1]))
    order: list[int] = []
    for epoch in itertools.count():
        order += epoch_order(len(pairs), seed=train.seed, epoch=epoch)
        while len(order) >= train.rows_per_batch:
            yield [pairs[i] for i in order[: train.rows_per_batch]]
            del order[: train.rows_per_batch]


def answer_tokens(
    tokenizer: Tokenizer, prompt: Sequence[Message], answer: Sequence[Message]
) -> Tokens:
    """Encode a prompt with one answer; loss begins where the generation prompt ends."""
    prompt_len = len(encode_chat(tokenizer, prompt, add_generation_prompt=True).ids)
    chat = encode_chat(tokenizer, [*prompt, *answer])
    end = max(i for i, is_trained in enumerate(chat.loss_mask) if is_trained)
    labels = [-100] * (prompt_len - 1) + chat.ids[prompt_len : end + 1]
    return torch.tensor(chat.ids[:end]), torch.tensor(labels)


def learning_rate(step: int, config: DPOConfig) -> float:
    """Linear warm-up, then half a cosine down to `min_lr_ratio` of the peak."""
    optim = config.optim
    if step < optim.warmup_steps:
        return optim.peak_lr * (step + 1) / optim.warmup_steps
    done = (step - optim.warmup_steps) / (config.train.num_steps - optim.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return optim.peak_lr * (optim.min_lr_ratio + (1 - optim.min_lr_ratio) * cosine)


def main() -> None:
    """Align by the run.toml named on the command line."""
    record = tomllib.loads(Path(sys.argv[1]).read_text())
    for step, loss in enumerate(dpo(from_table(DPOConfig, record["config"])), start=1):
        print(f"step {step}  loss {loss:.6f}")


if __name__ == "__main__":
    main()
