"""add_layer_norm from PyTorch's kernels, for devices without a native one."""

import torch
import torch.nn.functional as F
from torch import Tensor


def add_layer_norm_torch(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
    residual_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Add in one kernel, which rounds once, then normalise."""
    h = torch.add(x, residual, alpha=residual_scale)
    return F.layer_norm(h, weight.shape, weight, bias, eps), h
