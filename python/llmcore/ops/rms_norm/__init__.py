"""RMSNorm: native C++ on CPU, native CUDA, forward and backward."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import NATIVE, choose
from llmcore.ops.rms_norm.reference import rms_norm_reference
from llmcore.ops.rms_norm.register import rms_norm_native, rms_norm_no_grad_native
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "rms_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": NATIVE}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def rms_norm(
    x: Float[Tensor, "*batch C"],
    weight: Float[Tensor, " C"],
    *,
    eps: float = 1e-6,
) -> Float[Tensor, "*batch C"]:
    r"""Scale the last axis to unit root mean square, then by a learned gain.

        y_c = weight_c * x_c / sqrt(mean_c(x_c^2) + eps)

    Args:
        x: Activations in float32, bfloat16 or float16.
        weight: Gain per channel, same device and dtype as `x`.
        eps: Added to the mean square, so in units of x squared.

    Raises:
        ShapeError: `weight` does not match the last axis of `x`.
        DtypeError: `x` has another dtype (the reference takes float64 too), or `weight` not its.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: the mean square accumulates in float32, in an order that depends on C alone; the
    product rounds once, to `x.dtype`. The gradient of `weight` is deterministic.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467; eps inside the root as in LLaMA.
    """
    if weight.dim() != 1 or x.dim() == 0 or x.shape[-1] != weight.shape[0]:
        expected = f"(C,) = {tuple(x.shape[-1:])}"
        raise shape_error("rms_norm", "weight", expected, weight)
    if weight.dtype != x.dtype:
        raise dtype_error("rms_norm", "weight", f"{x.dtype} as x is", weight)
    if choose("rms_norm", BACKENDS, x.device.type) == NATIVE:
        if x.dtype not in NATIVE_DTYPES:
            raise dtype_error("rms_norm", "x", "float32, bfloat16 or float16", x)
        if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
            return rms_norm_native(x, weight, eps)
        return rms_norm_no_grad_native(x, weight, eps)
    return rms_norm_reference(x, weight, eps=eps)
