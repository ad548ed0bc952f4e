"""Sample inputs of layer_norm: odd widths, a mean far above the deviation, no bias."""

from typing import Any

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.layer_norm import layer_norm
from llmcore.ops.layer_norm.reference import layer_norm_reference


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = []
    for shape in ((2, 2), (5, 31), (3, 33), (7, 64), (2, 3, 128), (130, 192), (2, 4099)):
        args: tuple[Any, ...] = (
            normal(*shape, dtype=dtype),
            1 + normal(shape[-1], dtype=dtype, seed=1) / 8,
            normal(shape[-1], dtype=dtype, seed=3),
        )
        found.append(OpCase(name="x".join(map(str, shape)), args=args))
    wide, weight = normal(6, 96, dtype=dtype), normal(48, dtype=dtype, seed=1)
    found.append(OpCase(name="no bias", args=(wide[:, :48].contiguous(), weight)))
    found.append(OpCase(name="sliced", args=(wide[:, 24:72], weight, weight)))
    found.append(OpCase(name="transposed", args=(normal(48, 9, dtype=dtype).t(), weight)))
    found.append(OpCase(name="no rows", args=(wide[:0, :48], weight, weight)))
    small = normal(4, 48, dtype=dtype) * 1e-3
    found.append(OpCase(name="near eps", args=(small, weight), kwargs={"eps": 1e-6}))
    far = normal(5, 48, dtype=dtype) + 300
    found.append(OpCase(name="far mean", args=(far, weight, weight)))
    return found


def wrong() -> list[WrongCase]:
    x, weight, low = normal(2, 8), normal(8), normal(8, dtype=torch.bfloat16)
    return [
        WrongCase(name="width", args=(x, normal(7)), error=ShapeError),
        WrongCase(name="bias width", args=(x, weight, normal(1)), error=ShapeError),
        WrongCase(name="rank", args=(x, normal(8, 1)), error=ShapeError),
        WrongCase(name="dtype", args=(x, low), error=DtypeError),
        WrongCase(name="bias dtype", args=(x, weight, low), error=DtypeError),
    ]


def dispatched(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, *, eps: float = 1e-5
) -> tuple[object, ...]:
    return x, weight, x.new_empty(0) if bias is None else bias, eps


SPEC = OpSpec(
    name="layer_norm",
    public=layer_norm,
    reference=layer_norm_reference,
    grads=(0, 1, 2),
    cases=cases,
    wrong=wrong,
    dispatcher=dispatched,
)
