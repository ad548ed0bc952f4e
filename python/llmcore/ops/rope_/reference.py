"""The definition of rope_ in plain PyTorch."""

from torch import Tensor

from llmcore.ops.rope.reference import rope_reference


def rope_reference_(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    interleaved: bool = False,
    positions: Tensor | None = None,
) -> Tensor:
    """Overwrite x with what rope makes of it."""
    return x.copy_(rope_reference(x, cos, sin, interleaved=interleaved, positions=positions))
