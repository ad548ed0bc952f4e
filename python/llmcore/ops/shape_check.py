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
