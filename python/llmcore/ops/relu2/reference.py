"""The definition of relu2 in plain PyTorch."""

import torch
from torch import Tensor


def relu2_reference(x: Tensor) -> Tensor:
    """max(x, 0) squared, in float32 at least, rounded once."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return x.to(wide).relu().square().to(x.dtype)
