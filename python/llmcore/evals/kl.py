"""How far a tuned model has moved from its reference, on what it now says itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llmcore.data import Message, encode_chat
from llmcore.decoding import SamplingParams
from llmcore.errors import DataError
from llmcore.inference import generate
from llmcore.losses import token_kl
from llmcore.models import Decoder
from llmcore.tokenizers import IM_END, Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """KL(policy || reference), in nats."""

    per_token: float
    """Mean over sampled answer tokens."""
    per_answer: float
    """Mean of the sum over an answer: an unbiased estimate of the KL between answers."""
    num_tokens: int


@torch.no_grad()
def answer_divergence(
    policy: Decoder,
    reference: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    seed: int = 0,
    max_new_tokens: int = 48,
    batch_size: int = 64,
) -> Divergence:
    r"""Sample one answer per prompt from the policy and compare all its next-token distributions.

        per_answer = E_{y ~ policy} sum_t KL(policy(. | y_<t) || reference(. | y_<t))

    Each term sums over the whole vocabulary, so only the choice of answers is random.

    Args:
        policy, reference: Decoders with one vocabulary.
        tokenizer: With the ChatML markers.
        prompts: User messages.
        seed: Of the sampling, at temperature 1.
        max_new_tokens: Answers are cut here.
        batch_size: Prompts per pass.

    Raises:
        DataError: no prompts.
    """
    if not prompts:
        raise DataError("answer_divergence: prompts must be at least one, got none")
    stop_id = tokenizer.token_to_id(IM_END)
    params = SamplingParams(
        temperature=1.0,
        seed=seed,
        max_new_tokens=max_new_tokens,
        stop_ids=() if stop_id is None else (stop_id,),
    )
    heads = [
        encode_chat(tokenizer, [Message(role="user", content=p)], add_generation_prompt=True).ids
        for p in prompts
    ]
    seeds = [seed + i for i in range(len(heads))]
    tails = generate(policy, heads, params, batch_size=batch_size, seeds=seeds)
    rows = [([*head, *tail], len(head) - 1) for head, tail in zip(heads, tails, strict=True)]
    total, num_tokens = 0.0, 0
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        inputs, is_answer = _pad(batch)
        kl = token_kl(policy(inputs)[is_answer], reference(inputs)[is_answer])
        total += kl.double().sum().item()
        num_tokens += int(is_answer.sum())
    return Divergence(
        per_token=total / num_tokens, per_answer=total / len(rows), num_tokens=num_tokens
    )


def _pad(rows: Sequence[tuple[list[int], int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and True where a position predicts an answer token or the closing marker."""
    longest = max(len(ids) for ids, _ in rows)
    inputs = torch.zeros(len(rows), longest, dtype=torch.int64)
    is_answer = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (ids, first) in enumerate(rows):
        inputs[row, : len(ids)] = torch.tensor(ids)
        is_answer[row, first : len(ids)] = True
    return inputs, is_answer
