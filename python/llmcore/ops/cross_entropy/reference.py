"""The definition of cross_entropy in plain PyTorch."""

import torch
from torch import Tensor

from llmcore.shapes import IGNORE_INDEX


def cross_entropy_reference(
    logits: Tensor,
    labels: Tensor,
    *,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> Tensor:
    """Per-token negative log-likelihood of `labels` under softmax(logits); 0 where ignored."""
    kept = labels != ignore_index
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = torch.where(kept.unsqueeze(-1), wide, 0.0)  # no gradient, not even 0 * NaN
    if softcap > 0:
        wide = softcap * torch.tanh(wide / softcap)
    lse = torch.logsumexp(wide, dim=-1)
    target = torch.where(kept, labels, 0).unsqueeze(-1)
    losses = (1 - label_smoothing) * (lse - wide.gather(-1, target).squeeze(-1))
    if label_smoothing > 0:  # 0 * inf would be NaN where a token has logit -inf
        losses = losses + label_smoothing * (lse - wide.mean(dim=-1))
    if z_loss > 0:
        losses = losses + z_loss * lse.square()
    return torch.where(kept, losses, 0.0)
