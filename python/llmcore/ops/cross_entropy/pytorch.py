"""cross_entropy through PyTorch's log-softmax and NLL kernels, with ordinary autograd."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy_torch(
    logits: Tensor,
    labels: Tensor,
    *,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float,
) -> Tensor:
    wide = logits if logits.dtype == torch.float64 else logits.float()
    if softcap > 0:
        wide = softcap * torch.tanh(wide / softcap)
    losses = F.cross_entropy(
        wide, labels, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
    )
    if z_loss > 0:
        penalty = z_loss * torch.logsumexp(wide, dim=-1).square()
        losses = losses + torch.where(labels != ignore_index, penalty, 0.0)
    return losses
