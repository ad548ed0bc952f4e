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
) -> Tensor:
    """Per-token negative log-likelihood of `labels` under softmax(logits); 0 where ignored."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logprobs = wide - torch.logsumexp(wide, dim=-1, keepdim=True)
    kept = labels != ignore_index
    target = torch.where(kept, labels, 0).unsqueeze(-1)
    nll = -logprobs.gather(-1, target).squeeze(-1)
    uniform = -logprobs.mean(dim=-1)
    losses = (1 - label_smoothing) * nll + label_smoothing * uniform
    return torch.where(kept, losses, 0.0)
