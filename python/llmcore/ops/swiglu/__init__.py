"""SwiGLU gating: native C++ on CPU, PyTorch's SiLU and product on CUDA."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error
from llmcore.ops.swiglu.pytorch import swiglu_torch
from llmcore.ops.swiglu.reference import swiglu_reference
from llmcore.ops.swiglu.register import SwigluFunction, swiglu_native, swiglu_no_grad_native

__all__ = ["BACKENDS", "swiglu"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def swiglu(
    gate: Float[Tensor, "*batch F"],
    up: Float[Tensor, "*batch F"],
) -> Float[Tensor, "*batch F"]:
    r"""Gate one projection by the SiLU of another.

        y = gate * sigmoid(gate) * up

    Args:
        gate: Output of `gate_proj`. A view whose last axis is contiguous, as half of a fused
            projection, is not copied.
        up: Output of `up_proj`; shape, dtype and device of `gate`.

    Raises:
        ShapeError: the shapes differ.
        DtypeError: the dtypes differ, or are not float32, bfloat16 or float16 (the reference takes
            float64 too).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `gate.dtype`. In bfloat16 the elementary functions
    are exact to 2^-15 only, so a result is within 0.51 units of its last place.
    Source: Shazeer 2020, arXiv:2002.05202, with the first branch activated as in LLaMA.
    """
    if gate.shape != up.shape:
        raise shape_error("swiglu", "up", f"(*batch, F) = {tuple(gate.shape)}", up)
    if gate.dtype != up.dtype:
        raise dtype_error("swiglu", "up", f"{gate.dtype} as gate is", up)
    backend = choose("swiglu", BACKENDS, gate.device.type)
    if backend == TORCH:
        return swiglu_torch(gate, up)
    if backend != NATIVE:
        return swiglu_reference(gate, up)
    if gate.dtype not in NATIVE_DTYPES:
        raise dtype_error("swiglu", "gate", "float32, bfloat16 or float16", gate)
    if torch.is_grad_enabled() and (gate.requires_grad or up.requires_grad):
        call = swiglu_native if torch.compiler.is_compiling() else SwigluFunction.apply
        return call(gate, up)
    return swiglu_no_grad_native(gate, up)
