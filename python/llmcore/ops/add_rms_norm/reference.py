"""The definition of add_rms_norm in plain PyTorch."""

import torch
from torch import Tensor

from llmcore.ops.rms_norm.reference import rms_norm_reference


def add_residual_reference(x: Tensor, residual: Tensor, residual_scale: float) -> Tensor:
    """Return residual_scale * residual + x, rounded once to the dtype of `x`."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return (residual_scale * residual.to(wide) + x.to(wide)).to(x.dtype)


def add_rms_norm_reference(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    *,
    eps: float = 1e-6,
    residual_scale: float = 1.0,
    offset: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Add `x` to the scaled residual stream and normalise the sum; return (norm, sum)."""
    h = add_residual_reference(x, residual, residual_scale)
    return rms_norm_reference(h, weight, eps=eps, offset=offset), h
