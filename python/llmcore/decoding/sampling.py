"""Draw one token per row."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore import ops
from llmcore.decoding.sampling_params import SamplingParams
from llmcore.errors import ConfigError, DataError
from llmcore.ops import LogitBias, LogitEdits, Penalties


class TokenHistory(NamedTuple):
    """What every row holds: prompt, answer, then anything. The caller writes into it in place."""

    ids: Int[Tensor, "B S"]
    prompt_lens: Int[Tensor, " B"]
    """int64 tokens of the prompt."""
    lens: Int[Tensor, " B"]
    """int64 tokens of prompt and answer."""


def logit_edits(
    params: SamplingParams,
    *,
    vocab_size: int,
    device: torch.device,
    history: TokenHistory | None = None,
) -> LogitEdits | None:
    """What `params` does to the logits; build it once and use it at every step.

    Args:
        params: Its bias and penalties.
        vocab_size: V, that the ids of the bias must be below.
        device: Where the logits are.
        history: Needed if `params.has_penalties`; read again at every step.

    Returns:
        None if the logits stay as they are.

    Raises:
        ConfigError: a biased id is not in the vocabulary, or the history is missing.
    """
    bias, penalties = None, None
    if params.logit_bias:
        if max(params.logit_bias) >= vocab_size:
            raise ConfigError(
                f"logit_bias: must be ids in [0, {vocab_size}), got {max(params.logit_bias)}"
            )
        ids, values = zip(*params.logit_bias.items(), strict=True)
        bias = LogitBias(
            ids=torch.tensor(ids, device=device),
            values=torch.tensor(values, dtype=torch.float32, device=device),
            offsets=torch.tensor([0, len(ids)], device=device),
        )
    if params.has_penalties:
        if history is None:
            raise ConfigError("logit_edits: history must be given with penalties, got none")
        penalties = Penalties(
            history=history.ids,
            prompt_lens=history.prompt_lens,
            lens=history.lens,
            repetition=params.repetition_penalty,
            frequency=params.frequency_penalty,
            presence=params.presence_penalty,
        )
    if bias is None and penalties is None:
        return None
    return LogitEdits(bias=bias, penalties=penalties)


def sample_tokens(
    logits: Float[Tensor, "B V"],
    params: SamplingParams,
    *,
    seeds: Int[Tensor, " B"],
    positions: Int[Tensor, " B"],
    edits: LogitEdits | None = None,
) -> Int[Tensor, " B"]:
    """Next token of every row under `params`.

    Args:
        logits: Raw scores.
        params: Temperature and truncations, the same for all rows.
        seeds: Key of each row's random stream; unused when greedy.
        positions: Index that the new token will have in its sequence. A draw depends on the row's
            logits, history, seed and position only, never on the row's place in the batch.
        edits: Of `logit_edits(params, ...)`, where it has any.

    Raises:
        DataError: a row has no score above -inf.
    """
    ids = ops.sample(
        logits,
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        min_p=params.min_p,
        typical_p=params.typical_p,
        seeds=seeds,
        positions=positions,
        edits=edits,
    )
    if len(ids) and int(ids.min()) < 0:
        row = int(ids.argmin())
        raise DataError(f"sample: logits must have a score above -inf, got none in row {row}")
    return ids
