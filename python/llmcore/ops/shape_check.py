"""Messages of the public doors' checks: op, argument, what was expected, what came."""

from torch import Tensor

from llmcore.errors import DtypeError, ShapeError


def shape_error(op: str, argument: str, expected: str, got: Tensor) -> ShapeError:
    """Build the error for an argument of the wrong shape; `expected` names axes and sizes."""
    return ShapeError(f"{op}: {argument} must be {expected}, got {tuple(got.shape)}")


def dtype_error(op: str, argument: str, expected: str, got: Tensor) -> DtypeError:
    """Build the error for an argument of the wrong dtype."""
    message = f"{op}: {argument} must be {expected}, got {got.dtype}"
    return DtypeError(message.replace("torch.", ""))


def norm_arguments(
    op: str,
    x: Tensor,
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
) -> None:
    """Check what the norms take: channels (C,), a residual like `x`, all of one dtype.

    Raises:
        ShapeError: an argument does not match `x`.
        DtypeError: an argument has another dtype than `x`.
    """
    if weight.dim() != 1 or x.dim() == 0 or x.shape[-1] != weight.shape[0]:
        raise shape_error(op, "weight", f"(C,) = {tuple(x.shape[-1:])}", weight)
    if bias is not None and bias.shape != weight.shape:
        raise shape_error(op, "bias", f"(C,) = {tuple(weight.shape)}", bias)
    if residual is not None and residual.shape != x.shape:
        raise shape_error(op, "residual", f"(*batch, C) = {tuple(x.shape)}", residual)
    if weight.dtype != x.dtype:
        raise dtype_error(op, "weight", f"{x.dtype} as x is", weight)
    if bias is not None and bias.dtype != x.dtype:
        raise dtype_error(op, "bias", f"{x.dtype} as x is", bias)
    if residual is not None and residual.dtype != x.dtype:
        raise dtype_error(op, "residual", f"{x.dtype} as x is", residual)
