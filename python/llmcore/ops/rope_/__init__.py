"""Rotary position embedding in place: native C++ on CPU, a copy of rope's result on CUDA."""

from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.rope import (
    NATIVE_DTYPES,
    check_positions,
    check_rope_arguments,
    index_error,
    rope,
)
from llmcore.ops.rope.register import NO_POSITIONS
from llmcore.ops.rope_.reference import rope_reference_
from llmcore.ops.rope_.register import RopeInPlace, rope_native_
from llmcore.ops.shape_check import dtype_error

__all__ = ["BACKENDS", "rope_"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


def rope_(
    x: Float[Tensor, "B T H D"] | Float[Tensor, "N H D"],
    cos: Float[Tensor, "*rows Dh"],
    sin: Float[Tensor, "*rows Dh"],
    *,
    interleaved: bool = False,
    positions: Int64[Tensor, "B T"] | Int64[Tensor, " T"] | None = None,
) -> Float[Tensor, "*batch H D"]:
    r"""Rotate `x` itself as `rope` would, and return it.

    Args:
        x: Queries or keys, overwritten; the last axis contiguous, no element stored twice.
        cos: As in `rope`.
        sin: As in `rope`.
        interleaved: As in `rope`.
        positions: As in `rope`.

    Raises:
        ShapeError, DtypeError, IndexError, KernelUnavailable: as `rope` does; `x` is unchanged.
        RuntimeError: autograd records and `x` is a leaf that requires a gradient, or a strided
            layout that cannot be written in place.

    Numerics: those of `rope`, bit for bit. Under autograd the gradient passes through the change;
    what another op saved of the old `x` raises in its backward, as after any in-place op.
    """
    check_rope_arguments("rope_", x, cos, sin, positions)
    wants_grad = x.requires_grad and torch.is_grad_enabled()
    if wants_grad and x.is_leaf:
        raise RuntimeError("rope_: x must be no leaf that requires a gradient, got one; call rope")
    if choose("rope_", BACKENDS, x.device.type) != NATIVE:
        check_positions("rope_", positions, cos.shape[0])
        return rope_reference_(x, cos, sin, interleaved=interleaved, positions=positions)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("rope_", "x", "float32, bfloat16 or float16", x)
    rows = NO_POSITIONS if positions is None else positions
    if torch.compiler.is_compiling():
        if wants_grad:
            return x.copy_(rope(x, cos, sin, interleaved=interleaved, positions=positions))
        rope_native_(x, cos, sin, rows, interleaved, False)
        return x
    try:
        if wants_grad:
            return RopeInPlace.apply(x, cos, sin, rows, interleaved)
        rope_native_(x, cos, sin, rows, interleaved, False)
    except RuntimeError as error:
        raise index_error("rope_", error) or error from None
    if not x.is_inference():
        torch.autograd.graph.increment_version(x)
    return x
