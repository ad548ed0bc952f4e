"""RMSNorm: native C++ on CPU, native CUDA, forward and backward."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.backend import NATIVE, choose
from llmcore.ops.rms_norm.reference import rms_channels, rms_norm_reference
from llmcore.ops.rms_norm.register import (
    RmsNormFunction,
    rms_norm_native,
    rms_norm_no_grad_native,
)
from llmcore.ops.shape_check import dtype_error, norm_arguments

__all__ = ["BACKENDS", "rms_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": NATIVE}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def rms_norm(
    x: Float[Tensor, "*batch C"],
    weight: Float[Tensor, " C"],
    *,
    eps: float = 1e-6,
    offset: float = 0.0,
    partial: float = 1.0,
) -> Float[Tensor, "*batch C"]:
    r"""Scale the last axis to unit root mean square, then by a learned gain.

        y_c = (offset + weight_c) * x_c / sqrt(mean_{c < k}(x_c^2) + eps),  k = ceil(partial * C)

    Args:
        x: Activations in float32, bfloat16 or float16.
        weight: Gain per channel, same device and dtype as `x`.
        eps: Added to the mean square, so in units of x squared.
        offset: Added to the gain in float32, before any rounding. Gemma: 1.
        partial: Share of the leading channels whose mean square stands for all (pRMSNorm), in
            (0, 1]. The authors' code rounds the count down, their paper and this op up.

    Raises:
        ShapeError: `weight` does not match the last axis of `x`.
        DtypeError: `x` has another dtype (the reference takes float64 too), or `weight` not its.
        ConfigError: `partial` is outside of (0, 1].
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: the mean square accumulates in float32, in an order that depends on C alone; the
    product rounds once, to `x.dtype`. The gradient of `weight` is deterministic. On CUDA, calls
    with `offset` or `partial` run as the plain PyTorch expression. Second derivatives are
    PyTorch's, except in a compiled graph.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467 (section 4 for pRMSNorm); eps inside the root
    as in LLaMA.
    """
    norm_arguments("rms_norm", x, weight)
    if not 0.0 < partial <= 1.0:
        raise ConfigError(f"rms_norm: partial must be in (0, 1], got {partial}")
    backend = choose("rms_norm", BACKENDS, x.device.type)
    if backend != NATIVE or (x.is_cuda and (offset != 0.0 or partial != 1.0)):
        return rms_norm_reference(x, weight, eps=eps, offset=offset, partial=partial)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("rms_norm", "x", "float32, bfloat16 or float16", x)
    rms_cols = -1 if partial == 1.0 else rms_channels(x.shape[-1], partial)
    if not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)):
        return rms_norm_no_grad_native(x, weight, eps, offset, rms_cols)
    if torch.compiler.is_compiling():
        return rms_norm_native(x, weight, eps, offset, rms_cols)
    return RmsNormFunction.apply(x, weight, eps, offset, rms_cols)
