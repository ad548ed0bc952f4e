"""Rotary position embedding: PyTorch's elementwise kernels on every device, for now."""

from typing import Final

from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import TORCH, choose
from llmcore.ops.rope.reference import rope_reference
from llmcore.ops.rope.register import rope_op
from llmcore.ops.shape_check import shape_error

__all__ = ["BACKENDS", "rope", "rope_op"]

# The definition is itself a chain of PyTorch kernels, so the torch backend runs it.
BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


def rope(
    x: Float[Tensor, "B T H D"],
    cos: Float[Tensor, "B T Dh"] | Float[Tensor, "T Dh"],
    sin: Float[Tensor, "B T Dh"] | Float[Tensor, "T Dh"],
    *,
    interleaved: bool = False,
) -> Float[Tensor, "B T H D"]:
    r"""Rotate the channel pairs of every head by the angle of the token's position.

        y_a = x_a cos - x_b sin        y_b = x_b cos + x_a sin

    Pair i is channels (i, i + D/2), the Hugging Face layout; or (2i, 2i + 1) if `interleaved`, the
    paper's.

    Args:
        x: Queries or keys; D even.
        cos: Cosines of position times frequency, one per pair (Dh = D/2), in float32.
        sin: Sines, shaped as `cos`. No gradient flows to the tables.
        interleaved: Which channels form a pair.

    Raises:
        ShapeError: the tables do not match T and D/2 of `x`, or D is odd.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `x.dtype`.
    Source: Su et al. 2021, arXiv:2104.09864, equation 34.
    """
    if x.dim() != 4 or x.shape[-1] % 2:
        raise shape_error("rope", "x", "(B, T, H, D) with even D", x)
    _check_table("cos", cos, x)
    _check_table("sin", sin, x)
    choose("rope", BACKENDS, x.device.type)
    return rope_reference(x, cos, sin, interleaved=interleaved)


def _check_table(name: str, table: Tensor, x: Tensor) -> None:
    batch, length, _, width = x.shape
    shape = tuple(table.shape)
    if shape not in ((length, width // 2), (batch, length, width // 2)):
        expected = f"(T, D/2) = ({length}, {width // 2}) or (B, T, D/2)"
        raise shape_error("rope", name, expected, table)
