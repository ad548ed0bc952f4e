"""The definition of add_layer_norm in plain PyTorch."""

from torch import Tensor

from llmcore.ops.add_rms_norm.reference import add_residual_reference
from llmcore.ops.layer_norm.reference import layer_norm_reference


def add_layer_norm_reference(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
    residual_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Add `x` to the scaled residual stream and normalise the sum; return (norm, sum)."""
    h = add_residual_reference(x, residual, residual_scale)
    return layer_norm_reference(h, weight, bias, eps=eps), h
