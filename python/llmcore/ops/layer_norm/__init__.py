"""LayerNorm: native C++ on CPU, PyTorch's kernel on CUDA, forward and backward."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.layer_norm.pytorch import layer_norm_torch
from llmcore.ops.layer_norm.reference import layer_norm_reference
from llmcore.ops.layer_norm.register import (
    LayerNormFunction,
    layer_norm_native,
    layer_norm_no_grad_native,
    no_bias,
)
from llmcore.ops.shape_check import dtype_error, norm_arguments

__all__ = ["BACKENDS", "layer_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def layer_norm(
    x: Float[Tensor, "*batch C"],
    weight: Float[Tensor, " C"],
    bias: Float[Tensor, " C"] | None = None,
    *,
    eps: float = 1e-5,
) -> Float[Tensor, "*batch C"]:
    r"""Shift and scale the last axis to mean 0 and variance 1, then apply a learned gain and bias.

        y_c = weight_c * (x_c - mu) / sqrt(var + eps) + bias_c

    Args:
        x: Activations in float32, bfloat16 or float16.
        weight: Gain per channel, same device and dtype as `x`.
        bias: Added per channel, same device and dtype as `x`; None for none.
        eps: Added to the variance, so in units of x squared.

    Raises:
        ShapeError: `weight` or `bias` does not match the last axis of `x`.
        DtypeError: `x` has another dtype (the reference takes float64 too), or the others not its.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: the variance is biased (a mean over C) and taken of centred channels, so it is exact
    to float32 where |mu| is far above the deviation, too. Sums accumulate in float32, in an order
    that depends on C alone; the result rounds once, to `x.dtype`. The gradients of `weight` and
    `bias` are deterministic. Second derivatives are PyTorch's, except in a compiled graph.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.
    """
    norm_arguments("layer_norm", x, weight, bias=bias)
    backend = choose("layer_norm", BACKENDS, x.device.type)
    if backend == TORCH:
        return layer_norm_torch(x, weight, bias, eps=eps)
    if backend != NATIVE:
        return layer_norm_reference(x, weight, bias, eps=eps)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("layer_norm", "x", "float32, bfloat16 or float16", x)
    tracked = x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    tracked = tracked and torch.is_grad_enabled()
    if torch.compiler.is_compiling():
        op = layer_norm_native if tracked else layer_norm_no_grad_native
        return op(x, weight, x.new_empty(0) if bias is None else bias, eps)
    if tracked:
        return LayerNormFunction.apply(x, weight, bias, eps)
    return layer_norm_no_grad_native(x, weight, no_bias(x.dtype) if bias is None else bias, eps)
