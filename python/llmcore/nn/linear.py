"""Bias-free projections, alone or several of one input at once, trained or packed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from llmcore import ops


class Linear(nn.Module):
    """y = x W^T with W of shape (out_size, in_size). The owner of the model initialises `weight`.

    Unlike `torch.nn.Linear` it draws nothing from the global random stream when built.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_size, in_size))

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return F.linear(x, self.weight)


class PackedProjection(nn.Module):
    """A `Linear` whose weight is packed for inference on the CPU: no parameter and no gradient.

    The weight is in no `state_dict`; keep the model that was packed.
    """

    def __init__(self, packed: ops.PackedLinear) -> None:
        super().__init__()
        self.packed = packed

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return ops.linear(x, self.packed)


def linear_group(
    x: Float[Tensor, "*batch I"], projections: Sequence[Linear | PackedProjection]
) -> tuple[Float[Tensor, "*batch _"], ...]:
    """Apply several projections to one input: the q, k, v or the gate, up pattern.

    Returns:
        One output per projection, in order.
    """
    return tuple(projection(x) for projection in projections)
