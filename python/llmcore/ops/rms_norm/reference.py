"""The definition of rms_norm in plain PyTorch."""

import torch
from torch import Tensor


def rms_norm_reference(x: Tensor, weight: Tensor, *, eps: float = 1e-6) -> Tensor:
    """Scale the last axis to unit root mean square, then by `weight`; one rounding, at the end."""
    wide = torch.promote_types(x.dtype, torch.float32)
    x_wide = x.to(wide)
    scale = torch.rsqrt(x_wide.square().mean(dim=-1, keepdim=True) + eps)
    return (x_wide * scale * weight.to(wide)).to(x.dtype)
