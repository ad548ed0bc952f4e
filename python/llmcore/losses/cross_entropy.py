"""Next-token cross-entropy as a sum and a count, so that any accumulation normalises it exactly."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.ops import cross_entropy, linear_cross_entropy
from llmcore.shapes import IGNORE_INDEX


class TokenLoss(NamedTuple):
    """A summed loss and the number of tokens in the sum."""

    loss_sum: Float[Tensor, ""]
    """Sum of token losses in nats, float32 (float64 for float64 logits)."""
    num_tokens: int
    """Labels that are not IGNORE_INDEX."""


def token_cross_entropy(
    logits: Float[Tensor, "*batch V"],
    labels: Int[Tensor, "*batch"],
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> TokenLoss:
    r"""Sum of -log p(label) over the positions that carry a label.

        loss_sum = sum_t [label_t != IGNORE_INDEX] * (logsumexp_v(logits_t) - logits_t[label_t])

    Divide by the trained tokens of the *whole* optimiser step (all micro-batches): the mean of
    micro-batch means weighs tokens by the length of their neighbours.

    Args:
        logits: Scores of position t for the token at t + 1.
        labels: Already shifted targets; IGNORE_INDEX (-100) carries no loss and no gradient.
        label_smoothing: Weight of the uniform distribution in the target, 0 <= value < 1.
        z_loss: Weight of the squared logsumexp that PaLM adds per token; 1e-4 there.

    Raises:
        ShapeError: `labels` does not have the shape of `logits` without its last axis.

    Numerics: log-softmax and sum accumulate in float32.
    Source: Shannon 1948; the normalisation of `docs/sft.md`.
    """
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"token_cross_entropy: labels must be {tuple(logits.shape[:-1])}, "
            f"got {tuple(labels.shape)}"
        )
    losses = cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1),
        ignore_index=IGNORE_INDEX,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
    )
    return TokenLoss(losses.sum(), int((labels != IGNORE_INDEX).sum()))


def linear_token_cross_entropy(
    hidden: Float[Tensor, "*batch C"],
    weight: Float[Tensor, "V C"],
    labels: Int[Tensor, "*batch"],
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> TokenLoss:
    r"""`token_cross_entropy` of the logits hidden @ weight^T, without ever holding them.

    Args:
        hidden: Activations before the output projection.
        weight: Output projection.
        labels: Already shifted targets; IGNORE_INDEX (-100) carries no loss and no gradient.
        label_smoothing: Weight of the uniform distribution in the target, 0 <= value < 1.
        z_loss: Weight of the squared logsumexp that PaLM adds per token; 1e-4 there.
        softcap: Bound on the size of a logit, as in Gemma 2; 0 for none.

    Raises:
        ShapeError: `labels` does not have the shape of `hidden` without its last axis.

    Numerics: as `ops.linear_cross_entropy`.
    """
    if labels.shape != hidden.shape[:-1]:
        raise ShapeError(
            f"linear_token_cross_entropy: labels must be {tuple(hidden.shape[:-1])}, "
            f"got {tuple(labels.shape)}"
        )
    loss_sum, _ = linear_cross_entropy(
        hidden.reshape(-1, hidden.shape[-1]),
        weight,
        labels.reshape(-1),
        ignore_index=IGNORE_INDEX,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        softcap=softcap,
    )
    return TokenLoss(loss_sum, int((labels != IGNORE_INDEX).sum()))
