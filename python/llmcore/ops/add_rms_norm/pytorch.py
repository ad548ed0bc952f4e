"""add_rms_norm from PyTorch's kernels, for devices without a native one."""

import torch
from torch import Tensor

from llmcore.ops.rms_norm.reference import rms_norm_reference


def add_rms_norm_torch(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    *,
    eps: float = 1e-6,
    residual_scale: float = 1.0,
    offset: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Add in one kernel, which rounds once, then normalise."""
    h = torch.add(x, residual, alpha=residual_scale)
    return rms_norm_reference(h, weight, eps=eps, offset=offset), h
