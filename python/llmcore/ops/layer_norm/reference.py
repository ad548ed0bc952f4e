"""The definition of layer_norm in plain PyTorch."""

import torch
from torch import Tensor


def layer_norm_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, eps: float = 1e-5
) -> Tensor:
    """Centre the last axis and scale it to unit variance, then gain and bias; one rounding.

    The second centring changes nothing but rounding: where |mean| is far above the deviation, the
    mean is no float32 number, and the first leaves its error in every channel.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    x_wide = x.to(wide)
    centred = x_wide - x_wide.mean(dim=-1, keepdim=True)
    centred = centred - centred.mean(dim=-1, keepdim=True)
    scale = torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + eps)
    y = centred * scale * weight.to(wide)
    return (y if bias is None else y + bias.to(wide)).to(x.dtype)
