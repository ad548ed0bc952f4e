"""The definition of rope in plain PyTorch."""

import torch
import torch.nn.functional as F
from torch import Tensor


def rope_reference(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    interleaved: bool = False,
    positions: Tensor | None = None,
) -> Tensor:
    """Rotate the first 2 Dh channels of x (B, T, H, D) or (N, H, D) in pairs; rounds once."""
    if positions is not None:
        cos, sin = F.embedding(positions, cos), F.embedding(positions, sin)
    wide = torch.promote_types(x.dtype, torch.float32)
    num_rotated = 2 * cos.shape[-1]
    x_wide = x[..., :num_rotated].to(wide)
    cos, sin = cos.to(wide).unsqueeze(-2), sin.to(wide).unsqueeze(-2)  # (..., T, 1, Dh)
    if interleaved:
        a, b = x_wide[..., 0::2], x_wide[..., 1::2]
        rotated = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    else:
        a, b = x_wide.chunk(2, dim=-1)
        rotated = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return torch.cat((rotated.to(x.dtype), x[..., num_rotated:]), dim=-1)
