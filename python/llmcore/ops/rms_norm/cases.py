"""Sample inputs of rms_norm: odd widths around the vector widths, odd row counts, tiny x."""

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rms_norm.reference import rms_norm_reference


def cases(dtype: torch.dtype) -> list[OpCase]:
    shapes = [(1, 1), (5, 31), (3, 33), (7, 64), (2, 3, 128), (130, 192), (2, 4099)]
    found = [
        OpCase(
            name="x".join(map(str, shape)),
            args=(normal(*shape, dtype=dtype), 1 + normal(shape[-1], dtype=dtype, seed=1) / 8),
        )
        for shape in shapes
    ]
    wide, weight = normal(6, 96, dtype=dtype), normal(48, dtype=dtype, seed=1)
    found.append(OpCase(name="sliced", args=(wide[:, 24:72], weight)))
    found.append(OpCase(name="transposed", args=(normal(48, 9, dtype=dtype).t(), weight)))
    found.append(OpCase(name="no rows", args=(wide[:0, :48], weight)))
    small = normal(4, 48, dtype=dtype) * 1e-3
    found.append(OpCase(name="near eps", args=(small, weight), kwargs={"eps": 1e-5}))
    return found


def wrong() -> list[WrongCase]:
    x = normal(2, 8)
    return [
        WrongCase(name="width", args=(x, normal(7)), error=ShapeError),
        WrongCase(name="rank", args=(x, normal(8, 1)), error=ShapeError),
        WrongCase(name="dtype", args=(x, normal(8, dtype=torch.bfloat16)), error=DtypeError),
    ]


SPEC = OpSpec(
    name="rms_norm",
    public=rms_norm,
    reference=rms_norm_reference,
    grads=(0, 1),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, weight, *, eps=1e-6: (x, weight, eps),
)
