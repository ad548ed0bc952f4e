"""Rotary position embedding: native C++ on CPU, PyTorch's elementwise kernels on CUDA."""

from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.rope.reference import rope_reference
from llmcore.ops.rope.register import NO_POSITIONS, RopeFunction, rope_native, rope_no_grad_native
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "check_positions", "check_rope_arguments", "index_error", "rope"]

# On CUDA the definition, itself a chain of PyTorch kernels, is the torch backend.
BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def rope(
    x: Float[Tensor, "B T H D"] | Float[Tensor, "N H D"],
    cos: Float[Tensor, "*rows Dh"],
    sin: Float[Tensor, "*rows Dh"],
    *,
    interleaved: bool = False,
    positions: Int64[Tensor, "B T"] | Int64[Tensor, " T"] | None = None,
) -> Float[Tensor, "*batch H D"]:
    r"""Rotate channel pairs of every head by the angle of the token's position.

        y_a = x_a cos - x_b sin        y_b = x_b cos + x_a sin

    Pair i is channels (i, i + Dh), the Hugging Face layout; or (2i, 2i + 1) if `interleaved`, the
    paper's. Dh may be less than D/2: the channels from 2 Dh on are copied (partial rotary).

    Args:
        x: Queries or keys; D even. Any strides: a view of a fused projection is not copied.
        cos: Cosines of position times frequency, one per pair, in float32: (T, Dh) or (B, T, Dh),
            (N, Dh) for packed tokens, or with `positions` any table (P, Dh).
        sin: Sines, shaped as `cos`. No gradient flows to the tables; they may carry a scale, as
            those of xPos do.
        interleaved: Which channels form a pair.
        positions: The table row of each token, (T,) or (B, T), or (N,) for packed tokens; by
            default row t for token t.

    Raises:
        ShapeError: the tables or positions do not match `x`, or D is odd.
        DtypeError: `x` is not float32, bfloat16 or float16 (the reference takes float64 too), the
            tables are not float32 or the positions not int64.
        IndexError: a position has no row in the tables; negative ones have none.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `x.dtype`. The gradient is the transposed
    rotation of the cotangent, rounded as the forward is.
    Source: Su et al. 2021, arXiv:2104.09864, equation 34.
    """
    check_rope_arguments("rope", x, cos, sin, positions)
    if choose("rope", BACKENDS, x.device.type) != NATIVE:
        check_positions("rope", positions, cos.shape[0])
        return rope_reference(x, cos, sin, interleaved=interleaved, positions=positions)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("rope", "x", "float32, bfloat16 or float16", x)
    rows = NO_POSITIONS if positions is None else positions
    wants_grad = x.requires_grad and torch.is_grad_enabled()
    if torch.compiler.is_compiling():
        call = rope_native if wants_grad else rope_no_grad_native
        return call(x, cos, sin, rows, interleaved, False)
    try:
        if wants_grad:
            return RopeFunction.apply(x, cos, sin, rows, interleaved)
        return rope_no_grad_native(x, cos, sin, rows, interleaved, False)
    except RuntimeError as error:
        raise index_error("rope", error) or error from None


def index_error(op: str, error: RuntimeError) -> IndexError | None:
    """Turn the kernel's complaint about a position into an IndexError of one line."""
    start = str(error).find(f"{op}: positions must be in [")
    return None if start < 0 else IndexError(str(error)[start:].splitlines()[0])


def check_rope_arguments(
    op: str, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None
) -> None:
    """Check shapes and dtypes once for rope and rope_; the values of `positions` are theirs."""
    rank, shape = x.dim(), x.shape
    if rank not in (3, 4) or shape[-1] % 2:
        raise shape_error(op, "x", "(B, T, H, D) or (N, H, D) with even D", x)
    tokens = shape[:-2]
    for name, table in (("cos", cos), ("sin", sin)):
        rows = table.shape[:-1]
        fits = len(rows) == 1 if positions is not None else rows in (tokens, tokens[-1:])
        if not fits or table.shape[-1] != cos.shape[-1] or 2 * table.shape[-1] > shape[-1]:
            expected = "(P, Dh)" if positions is not None else f"(T, Dh) or {(*tokens, 'Dh')}"
            expected = f"{expected} with Dh at most D/2 = {shape[-1] // 2}, both alike"
            raise shape_error(op, name, expected.replace("'", ""), table)
        if table.dtype != torch.float32 and x.dtype != torch.float64:
            raise dtype_error(op, name, "float32", table)
    if positions is None:
        return
    if positions.shape not in (tokens, tokens[-1:]):
        raise shape_error(op, "positions", f"{tuple(tokens)} or {tuple(tokens[-1:])}", positions)
    if positions.dtype != torch.int64:
        raise dtype_error(op, "positions", "int64", positions)


def check_positions(op: str, positions: Tensor | None, num_rows: int) -> None:
    """Check that every position has a row, as the kernel does; on CUDA PyTorch asserts it."""
    if positions is None or positions.numel() == 0 or positions.device.type != "cpu":
        return
    if torch.compiler.is_compiling():
        return
    lowest, highest = (int(bound) for bound in positions.aminmax())
    if lowest < 0 or highest >= num_rows:
        wrong = lowest if lowest < 0 else highest
        raise IndexError(f"{op}: positions must be in [0, {num_rows}), got {wrong}")
