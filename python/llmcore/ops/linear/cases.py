"""Sample inputs of linear: every format, sizes around panels, steps and groups, odd row counts."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.linear import PackedLinear, linear, pack_linear
from llmcore.ops.linear.packed import WeightFormat
from llmcore.ops.linear.reference import linear_reference

FORMATS: tuple[tuple[WeightFormat, int | None], ...] = (
    ("float32", None),
    ("bfloat16", None),
    ("int8", None),
    ("int8", 64),
    ("int4", 32),
    ("int4", 128),
)


def weight_of(out_size: int, in_size: int, kind: tuple[WeightFormat, int | None]) -> PackedLinear:
    weight = normal(out_size, in_size, seed=1) / max(in_size, 1) ** 0.5
    return pack_linear(weight, format=kind[0], group_size=kind[1])


def cases(dtype: torch.dtype) -> list[OpCase]:
    # (rows, in, out): one row, a batch, several tiles, several blocks; sizes off every multiple.
    # One row is wide: the yardstick sums a short one in 16 lanes, more exactly than any chain.
    shapes = [(1, 1, 1), (1, 600, 70), (5, 33, 31), (7, 64, 64), (40, 257, 130), (200, 130, 70)]
    found = []
    for rows, in_size, out_size in shapes:
        for kind in FORMATS:
            args = (normal(rows, in_size, dtype=dtype), weight_of(out_size, in_size, kind))
            name = f"{rows}x{in_size}x{out_size} {kind[0]} {kind[1]}"
            found.append(OpCase(name=name, args=args))
    packed, bias = weight_of(70, 40, ("int8", 32)), normal(70, dtype=dtype, seed=2)
    x = normal(3, 2, 80, dtype=dtype)
    found.append(OpCase(name="bias", args=(x[..., :40].contiguous(), packed, bias)))
    found.append(OpCase(name="sliced", args=(x[..., 20:60], packed, bias)))
    found.append(OpCase(name="transposed", args=(normal(40, 9, dtype=dtype).t(), packed)))
    found.append(OpCase(name="one vector", args=(x[0, 0, :40], packed)))
    found.append(OpCase(name="no rows", args=(x[:0, :, :40], packed, bias)))
    found.append(OpCase(name="no inputs", args=(x[..., :0], weight_of(70, 0, FORMATS[0]), bias)))
    found.append(OpCase(name="no outputs", args=(x, weight_of(0, 80, FORMATS[4]))))
    return found


def wrong() -> list[WrongCase]:
    x, packed = normal(2, 8), weight_of(3, 8, FORMATS[0])
    return [
        WrongCase(name="width", args=(normal(2, 7), packed), error=ShapeError),
        WrongCase(name="bias", args=(x, packed, normal(4)), error=ShapeError),
        WrongCase(name="dtype", args=(x, packed, normal(3).bfloat16()), error=DtypeError),
        WrongCase(name="gradient", args=(x.clone().requires_grad_(), packed), error=ConfigError),
    ]


def dispatcher(x: Tensor, packed: PackedLinear, bias: Tensor | None = None) -> tuple[Any, ...]:
    bias = x.new_empty(0) if bias is None else bias
    return (x, packed.data, packed.scales, bias, packed.out_size, packed.group_size)


SPEC = OpSpec(
    name="linear",
    public=linear,
    reference=linear_reference,
    cases=cases,
    wrong=wrong,
    dispatcher=dispatcher,
    dtypes=(torch.float32, torch.bfloat16),
)
