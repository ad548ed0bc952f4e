"""The definition of rope in plain PyTorch."""

import torch
from torch import Tensor


def rope_reference(x: Tensor, cos: Tensor, sin: Tensor, *, interleaved: bool = False) -> Tensor:
    """Rotate each pair of channels of x (B, T, H, D) by its position's angle; rounds once."""
    wide = torch.promote_types(x.dtype, torch.float32)
    x_wide = x.to(wide)
    cos, sin = cos.to(wide).unsqueeze(-2), sin.to(wide).unsqueeze(-2)  # (..., T, 1, D/2)
    if interleaved:
        a, b = x_wide[..., 0::2], x_wide[..., 1::2]
        pairs = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1)
        return pairs.flatten(-2).to(x.dtype)
    a, b = x_wide.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)
