"""cross_entropy through PyTorch's log-softmax and NLL kernels, and its gradient written out."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy_torch(
    logits: Tensor, labels: Tensor, *, ignore_index: int, label_smoothing: float
) -> Tensor:
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(
        wide, labels, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
    )


def cross_entropy_backward_torch(
    dlosses: Tensor, logits: Tensor, labels: Tensor, *, ignore_index: int, label_smoothing: float
) -> Tensor:
    """dlogits = dloss * (softmax - (1 - smoothing) * onehot - smoothing / V) where kept."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    kept = labels != ignore_index
    grad = logits.to(wide).softmax(dim=-1) - label_smoothing / logits.shape[-1]
    target = torch.where(kept, labels, 0).unsqueeze(-1)
    share = torch.full(target.shape, label_smoothing - 1, dtype=wide, device=grad.device)
    grad = grad.scatter_add(-1, target, share)
    grad = grad * torch.where(kept, dlosses, 0.0).to(wide).unsqueeze(-1)
    return grad.to(logits.dtype).contiguous()
