"""GeGLU gating: native C++ on CPU, PyTorch's GELU and product on CUDA."""

from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.geglu.pytorch import geglu_torch
from llmcore.ops.geglu.reference import geglu_reference
from llmcore.ops.geglu.register import GegluFunction, geglu_native, geglu_no_grad_native
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "geglu"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def geglu(
    gate: Float[Tensor, "*batch F"],
    up: Float[Tensor, "*batch F"],
    *,
    approximate: Literal["none", "tanh"] = "none",
) -> Float[Tensor, "*batch F"]:
    r"""Gate one projection by the GELU of another.

        y = gelu(gate) * up

    Args:
        gate: Output of `gate_proj`. A view whose last axis is contiguous, as half of a fused
            projection, is not copied.
        up: Output of `up_proj`; shape, dtype and device of `gate`.
        approximate: "none" is exact, "tanh" the form of GPT-2, BLOOM and Gemma.

    Raises:
        ShapeError: the shapes differ.
        DtypeError: the dtypes differ, or are not float32, bfloat16 or float16 (the reference takes
            float64 too).
        ConfigError: `approximate` is neither.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `gate.dtype`. In bfloat16 the elementary functions
    are exact to 2^-15 only, so a result is within 0.51 units of its last place.
    Source: Shazeer 2020, arXiv:2002.05202. The first argument is activated; GLM-130B activates the
    second half of its fused projection.
    """
    if gate.shape != up.shape:
        raise shape_error("geglu", "up", f"(*batch, F) = {tuple(gate.shape)}", up)
    if gate.dtype != up.dtype:
        raise dtype_error("geglu", "up", f"{gate.dtype} as gate is", up)
    if approximate not in ("none", "tanh"):
        raise ConfigError(f"geglu: approximate must be 'none' or 'tanh', got {approximate!r}")
    backend = choose("geglu", BACKENDS, gate.device.type)
    if backend == TORCH:
        return geglu_torch(gate, up, approximate=approximate)
    if backend != NATIVE:
        return geglu_reference(gate, up, approximate=approximate)
    if gate.dtype not in NATIVE_DTYPES:
        raise dtype_error("geglu", "gate", "float32, bfloat16 or float16", gate)
    if torch.is_grad_enabled() and (gate.requires_grad or up.requires_grad):
        call = geglu_native if torch.compiler.is_compiling() else GegluFunction.apply
        return call(gate, up, approximate == "tanh")
    return geglu_no_grad_native(gate, up, approximate == "tanh")
