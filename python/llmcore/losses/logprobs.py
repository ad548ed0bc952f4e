"""Log-probabilities of given tokens, and their sums per sequence."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.ops import cross_entropy
from llmcore.shapes import IGNORE_INDEX


def token_logprobs(
    logits: Float[Tensor, "*batch V"], labels: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    r"""Log-probability of each label under the softmax of its logits, in nats; 0 where ignored.

        logprob_t = logits_t[label_t] - logsumexp_v(logits_t)

    Args:
        logits: Scores of position t for the token at t + 1.
        labels: Already shifted targets; IGNORE_INDEX (-100) gives exactly 0.

    Raises:
        ShapeError: `labels` does not have the shape of `logits` without its last axis.

    Numerics: float32 accumulation and result.
    """
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"token_logprobs: labels must be {tuple(logits.shape[:-1])}, got {tuple(labels.shape)}"
        )
    flat = cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=IGNORE_INDEX
    )
    return -flat.reshape(labels.shape)


def sequence_logprobs(
    logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    r"""Log-probability of each row's labelled tokens: log pi(y | x) = sum_t logprob_t, in nats.

    Args:
        logits: Scores of position t for the token at t + 1.
        labels: Already shifted completion tokens; prompt and padding are IGNORE_INDEX.

    Raises:
        ShapeError: `labels` does not have the shape of `logits` without its last axis.

    Source: Rafailov et al. 2023, arXiv:2305.18290, the log pi(y | x) of equation 7 (a sum, not a
    mean).
    """
    return token_logprobs(logits, labels).sum(dim=-1)


def sum_by_sequence(
    values: Float[Tensor, " N"], sequence_idx: Int[Tensor, " N"], *, num_sequences: int
) -> Float[Tensor, " B"]:
    """Add up packed token values per sequence; sequences without a token get 0.

    Args:
        values: One number per packed token.
        sequence_idx: The sequence of each token, in [0, num_sequences).

    Raises:
        ShapeError: the two inputs differ in length.
    """
    if values.shape != sequence_idx.shape:
        raise ShapeError(
            f"sum_by_sequence: sequence_idx must be {tuple(values.shape)}, "
            f"got {tuple(sequence_idx.shape)}"
        )
    zeros = torch.zeros(num_sequences, dtype=values.dtype, device=values.device)
    return zeros.index_add(0, sequence_idx, values)
