"""The definition of linear over packed weights in plain PyTorch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.ops.linear.packed import PackedLinear


def linear_reference(x: Tensor, packed: PackedLinear, bias: Tensor | None = None) -> Tensor:
    """F.linear with the unpacked weight in at least float32; one rounding, at the end."""
    wide = torch.promote_types(x.dtype, torch.float32)
    bias = None if bias is None else bias.to(wide)
    return F.linear(x.to(wide), packed.unpack(wide), bias).to(x.dtype)
