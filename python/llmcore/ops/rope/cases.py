"""Sample inputs of rope: both layouts, shared and per-row tables, odd lengths."""

import torch
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.rope import rope
from llmcore.ops.rope.reference import rope_reference


def tables(positions: Tensor, width: int, base: float = 1e4) -> tuple[Tensor, Tensor]:
    """Return cos and sin (*positions, width/2) in float32, the angles taken in float64."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = positions.to(torch.float64).unsqueeze(-1) * frequencies
    return angles.cos().float(), angles.sin().float()


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = []
    for batch, length, heads, width in [(1, 1, 1, 2), (2, 31, 3, 8), (2, 33, 2, 34)]:
        x = normal(batch, length, heads, width, dtype=dtype)
        table = tables(torch.arange(length), width)
        name = f"{batch}x{length}x{heads}x{width}"
        found.append(OpCase(name=name, args=(x, *table)))
        found.append(OpCase(name=name + " pairs", args=(x, *table), kwargs={"interleaved": True}))
    x = normal(2, 4, 6, 16, dtype=dtype)
    rows = torch.tensor([[0, 1, 0, 1], [7, 8, 100000, 3]])
    found.append(OpCase(name="per row", args=(x, *tables(rows, 16))))
    found.append(OpCase(name="sliced", args=(x[:, :, 1:4], *tables(rows, 16))))
    found.append(OpCase(name="empty", args=(x[:0], *tables(rows[:0], 16))))
    return found


def wrong() -> list[WrongCase]:
    cos, sin = tables(torch.arange(4), 8)
    x = normal(2, 4, 3, 8)
    return [
        WrongCase(name="odd", args=(x[..., :7], cos, sin), error=ShapeError),
        WrongCase(name="length", args=(x[:, :3], cos, sin), error=ShapeError),
        WrongCase(name="rank", args=(x[0], cos, sin), error=ShapeError),
        WrongCase(name="sin", args=(x, cos, sin[:, :2]), error=ShapeError),
    ]


SPEC = OpSpec(
    name="rope",
    public=rope,
    reference=rope_reference,
    grads=(0,),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, cos, sin, *, interleaved=False: (x, cos, sin, interleaved),
)
