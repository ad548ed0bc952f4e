"""The definition of rms_norm in plain PyTorch."""

import math

import torch
from torch import Tensor


def rms_channels(num_channels: int, partial: float) -> int:
    """Return how many leading channels the root mean square is taken of: ceil(partial * C).

    A product within 1e-9 of a whole number is that number: 0.07 * 100 is 7 channels, not 8.
    """
    return max(1, math.ceil(partial * num_channels - 1e-9))


def rms_norm_reference(
    x: Tensor, weight: Tensor, *, eps: float = 1e-6, offset: float = 0.0, partial: float = 1.0
) -> Tensor:
    """Scale the last axis to unit root mean square, then by `offset + weight`; one rounding."""
    wide = torch.promote_types(x.dtype, torch.float32)
    x_wide = x.to(wide)
    counted = x_wide if partial == 1.0 else x_wide[..., : rms_channels(x.shape[-1], partial)]
    scale = torch.rsqrt(counted.square().mean(dim=-1, keepdim=True) + eps)
    return (x_wide * scale * (offset + weight.to(wide))).to(x.dtype)
