"""The definition of gelu in plain PyTorch."""

import math

import torch
from torch import Tensor


def gelu_reference(x: Tensor, *, approximate: str = "none") -> Tensor:
    """x Phi(x), or x s(2u) with the tanh form's u, in float32 at least, rounded once.

    Both are written without 1 + erf and 1 + tanh, which cancel for negative x.
    """
    return gelu_wide(x.to(torch.promote_types(x.dtype, torch.float32)), approximate).to(x.dtype)


def gelu_wide(x: Tensor, approximate: str) -> Tensor:
    """The same without a rounding."""
    if approximate == "tanh":
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
    return x * torch.special.ndtr(x)
