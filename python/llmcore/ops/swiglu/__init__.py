"""SwiGLU gating: PyTorch's SiLU and product on every device, for now."""

from typing import Final

from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error
from llmcore.ops.swiglu.pytorch import swiglu_torch
from llmcore.ops.swiglu.reference import swiglu_reference
from llmcore.ops.swiglu.register import swiglu_op

__all__ = ["BACKENDS", "swiglu", "swiglu_op"]

BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


def swiglu(
    gate: Float[Tensor, "*batch F"], up: Float[Tensor, "*batch F"]
) -> Float[Tensor, "*batch F"]:
    r"""Gate one projection by the SiLU of another.

        y = gate * sigmoid(gate) * up

    Args:
        gate: Output of `gate_proj`.
        up: Output of `up_proj`; shape, dtype and device of `gate`.

    Raises:
        ShapeError: the shapes differ.
        DtypeError: the dtypes differ.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `gate.dtype`.
    Source: Shazeer 2020, arXiv:2002.05202, with the first branch activated as in LLaMA.
    """
    if gate.shape != up.shape:
        raise shape_error("swiglu", "up", f"(*batch, F) = {tuple(gate.shape)}", up)
    if gate.dtype != up.dtype:
        raise dtype_error("swiglu", "up", f"{gate.dtype} as gate is", up)
    if choose("swiglu", BACKENDS, gate.device.type) == TORCH:
        return swiglu_torch(gate, up)
    return swiglu_reference(gate, up)
