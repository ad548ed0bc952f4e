"""Residual sum and RMSNorm in one pass: native C++ on CPU, PyTorch's kernels on CUDA."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.add_rms_norm.pytorch import add_rms_norm_torch
from llmcore.ops.add_rms_norm.reference import add_rms_norm_reference
from llmcore.ops.add_rms_norm.register import (
    AddRmsNormFunction,
    add_rms_norm_native,
    add_rms_norm_no_grad_native,
)
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.shape_check import dtype_error, norm_arguments

__all__ = ["BACKENDS", "add_rms_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def add_rms_norm(
    x: Float[Tensor, "*batch C"],
    residual: Float[Tensor, "*batch C"],
    weight: Float[Tensor, " C"],
    *,
    eps: float = 1e-6,
    residual_scale: float = 1.0,
    offset: float = 0.0,
) -> tuple[Float[Tensor, "*batch C"], Float[Tensor, "*batch C"]]:
    r"""Add a sublayer's output to the residual stream and normalise the sum; return (y, h).

        h = residual_scale * residual + x
        y_c = (offset + weight_c) * h_c / sqrt(mean_c(h_c^2) + eps)

    Args:
        x: Output of a sublayer in float32, bfloat16 or float16.
        residual: The stream; shape, dtype and device of `x`.
        weight: Gain per channel, same device and dtype as `x`.
        eps: Added to the mean square, so in units of h squared.
        residual_scale: DeepNorm's alpha; 1 for a plain residual.
        offset: Added to the gain in float32, before any rounding. Gemma: 1.

    Raises:
        ShapeError: `residual` has not the shape of `x`, or `weight` does not match its last axis.
        DtypeError: `x` has another dtype (the reference takes float64 too), or the others not its.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: h rounds once to `x.dtype`, and y is the norm of the rounded h, as if the two ops were
    called one after the other; the rest as in `rms_norm`.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467; Wang et al. 2022, arXiv:2203.00555 (alpha).
    """
    norm_arguments("add_rms_norm", x, weight, residual=residual)
    options = {"eps": eps, "residual_scale": residual_scale, "offset": offset}
    backend = choose("add_rms_norm", BACKENDS, x.device.type)
    if backend == TORCH:
        return add_rms_norm_torch(x, residual, weight, **options)
    if backend != NATIVE:
        return add_rms_norm_reference(x, residual, weight, **options)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("add_rms_norm", "x", "float32, bfloat16 or float16", x)
    args = (x, residual, weight, eps, residual_scale, offset)
    tracked = x.requires_grad or residual.requires_grad or weight.requires_grad
    if not (tracked and torch.is_grad_enabled()):
        return add_rms_norm_no_grad_native(*args)
    if torch.compiler.is_compiling():
        return add_rms_norm_native(*args)
    return AddRmsNormFunction.apply(*args)
