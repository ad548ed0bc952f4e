"""The definition of linear_cross_entropy in plain PyTorch."""

import torch.nn.functional as F
from torch import Tensor

from llmcore.ops.cross_entropy.reference import cross_entropy_reference
from llmcore.shapes import IGNORE_INDEX


def linear_cross_entropy_reference(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    bias: Tensor | None = None,
    token_weights: Tensor | None = None,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Weighted sum of the token losses, and the losses, of cross_entropy(linear(hidden))."""
    losses = cross_entropy_reference(
        F.linear(hidden, weight, bias),
        labels,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        softcap=softcap,
    )
    return weighted_sum(losses, token_weights), losses


def weighted_sum(losses: Tensor, token_weights: Tensor | None) -> Tensor:
    """Sum of weight times loss in float64, rounded to the dtype of the losses."""
    wide = losses.double()
    if token_weights is not None:
        wide = wide * token_weights.detach().double()
    return wide.sum().to(losses.dtype)
