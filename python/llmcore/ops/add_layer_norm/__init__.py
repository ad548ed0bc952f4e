"""Residual sum and LayerNorm in one pass: native C++ on CPU, PyTorch's kernels on CUDA."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.add_layer_norm.pytorch import add_layer_norm_torch
from llmcore.ops.add_layer_norm.reference import add_layer_norm_reference
from llmcore.ops.add_layer_norm.register import (
    AddLayerNormFunction,
    add_layer_norm_native,
    add_layer_norm_no_grad_native,
)
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.layer_norm.register import no_bias
from llmcore.ops.shape_check import dtype_error, norm_arguments

__all__ = ["BACKENDS", "add_layer_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def add_layer_norm(
    x: Float[Tensor, "*batch C"],
    residual: Float[Tensor, "*batch C"],
    weight: Float[Tensor, " C"],
    bias: Float[Tensor, " C"] | None = None,
    *,
    eps: float = 1e-5,
    residual_scale: float = 1.0,
) -> tuple[Float[Tensor, "*batch C"], Float[Tensor, "*batch C"]]:
    r"""Add a sublayer's output to the residual stream and normalise the sum; return (y, h).

        h = residual_scale * residual + x
        y_c = weight_c * (h_c - mu) / sqrt(var + eps) + bias_c

    With `residual_scale` = alpha this is DeepNorm's LN(alpha * x + F(x)): `x` here is F(x), the
    stream is `residual`, and y goes on as the stream.

    Args:
        x: Output of a sublayer in float32, bfloat16 or float16.
        residual: The stream; shape, dtype and device of `x`.
        weight: Gain per channel, same device and dtype as `x`.
        bias: Added per channel, same device and dtype as `x`; None for none.
        eps: Added to the variance, so in units of h squared.
        residual_scale: DeepNorm's alpha; 1 for a plain residual.

    Raises:
        ShapeError: `residual` has not the shape of `x`, or `weight` or `bias` does not match its
            last axis.
        DtypeError: `x` has another dtype (the reference takes float64 too), or the others not its.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: h rounds once to `x.dtype`, and y is the norm of the rounded h, as if the two ops were
    called one after the other; the rest as in `layer_norm`.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450; Wang et al. 2022, arXiv:2203.00555 (alpha).
    """
    norm_arguments("add_layer_norm", x, weight, bias=bias, residual=residual)
    options = {"eps": eps, "residual_scale": residual_scale}
    backend = choose("add_layer_norm", BACKENDS, x.device.type)
    if backend == TORCH:
        return add_layer_norm_torch(x, residual, weight, bias, **options)
    if backend != NATIVE:
        return add_layer_norm_reference(x, residual, weight, bias, **options)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("add_layer_norm", "x", "float32, bfloat16 or float16", x)
    inputs = (x, residual, weight) if bias is None else (x, residual, weight, bias)
    tracked = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    if torch.compiler.is_compiling():
        op = add_layer_norm_native if tracked else add_layer_norm_no_grad_native
        given = x.new_empty(0) if bias is None else bias
        return op(x, residual, weight, given, eps, residual_scale)
    if tracked:
        return AddLayerNormFunction.apply(x, residual, weight, bias, eps, residual_scale)
    given = no_bias(x.dtype) if bias is None else bias
    return add_layer_norm_no_grad_native(x, residual, weight, given, eps, residual_scale)
