"""Sample inputs of rope: both layouts, partial, views, packed tokens, shared and per-row tables."""

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.rope import rope
from llmcore.ops.rope.reference import rope_reference
from llmcore.ops.rope.register import NO_POSITIONS


def tables(positions: Tensor, width: int, base: float = 1e4) -> tuple[Tensor, Tensor]:
    """Return cos and sin (*positions, width/2) in float32, the angles taken in float64."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = positions.to(torch.float64).unsqueeze(-1) * frequencies
    return angles.cos().float(), angles.sin().float()


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = []
    shapes = [(1, 1, 1, 2, 2), (2, 31, 3, 8, 8), (2, 33, 2, 34, 34), (1, 5, 3, 80, 80)]
    shapes += [(2, 7, 3, 256, 64), (2, 3, 5, 40, 20), (1, 130, 2, 128, 128)]
    for batch, length, heads, width, rotated in shapes:
        x = normal(batch, length, heads, width, dtype=dtype)
        table = tables(torch.arange(length), rotated)
        name = f"{batch}x{length}x{heads}x{width}:{rotated}"
        found.append(OpCase(name=name, args=(x, *table)))
        found.append(OpCase(name=name + " pairs", args=(x, *table), kwargs={"interleaved": True}))
    x = normal(2, 4, 6, 16, dtype=dtype)
    rows = torch.tensor([[0, 1, 0, 1], [7, 8, 100000, 3]])
    found.append(OpCase(name="per row", args=(x, *tables(rows, 16))))
    found.append(OpCase(name="sliced", args=(x[:, :, 1:4], *tables(rows, 16))))
    turned = normal(2, 6, 4, 16, dtype=dtype).transpose(1, 2)
    found.append(OpCase(name="heads first", args=(turned, *tables(rows, 16))))
    across = normal(2, 4, 16, 6, dtype=dtype).transpose(2, 3)
    found.append(OpCase(name="channels apart", args=(across, *tables(rows, 16))))
    found.append(OpCase(name="empty", args=(x[:0], *tables(rows[:0], 16))))
    packed = normal(9, 3, 24, dtype=dtype)
    found.append(OpCase(name="packed", args=(packed, *tables(torch.arange(9) * 7, 24))))
    shared = tables(torch.arange(12), 16)
    chosen = {"positions": torch.tensor([[3, 11, 0, 3], [5, 5, 5, 1]])}
    found.append(OpCase(name="positions", args=(x, *shared), kwargs=chosen))
    one_row = {"positions": torch.tensor([0, 4, 8, 11]), "interleaved": True}
    found.append(OpCase(name="positions of all rows", args=(x, *shared), kwargs=one_row))
    apart = {"positions": torch.arange(18).remainder(12)[::2]}
    found.append(OpCase(name="packed positions", args=(packed[..., :16], *shared), kwargs=apart))
    return found


def wrong() -> list[WrongCase]:
    cos, sin = tables(torch.arange(4), 8)
    x = normal(2, 4, 3, 8)
    at = torch.tensor([0, 1, 2, 4])
    return [
        WrongCase(name="odd", args=(x[..., :7], cos, sin), error=ShapeError),
        WrongCase(name="length", args=(x[:, :3], cos, sin), error=ShapeError),
        WrongCase(name="rank", args=(x[0, 0], cos, sin), error=ShapeError),
        WrongCase(name="sin", args=(x, cos, sin[:, :2]), error=ShapeError),
        WrongCase(name="too wide", args=(x[..., :6], cos, sin), error=ShapeError),
        WrongCase(name="table", args=(x, cos.double(), sin.double()), error=DtypeError),
        WrongCase(
            name="positions", args=(x, cos, sin), kwargs={"positions": at[:3]}, error=ShapeError
        ),
        WrongCase(
            name="int32", args=(x, cos, sin), kwargs={"positions": at.int()}, error=DtypeError
        ),
        WrongCase(name="beyond", args=(x, cos, sin), kwargs={"positions": at}, error=IndexError),
        WrongCase(name="negative", args=(x, cos, sin), kwargs={"positions": -at}, error=IndexError),
    ]


SPEC = OpSpec(
    name="rope",
    public=rope,
    reference=rope_reference,
    grads=(0,),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, cos, sin, *, interleaved=False, positions=NO_POSITIONS: (
        x,
        cos,
        sin,
        positions,
        interleaved,
        False,
    ),
)
