"""Sample inputs of rms_norm: odd widths around the vector widths, odd row counts, tiny x."""

import torch

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rms_norm.reference import rms_channels, rms_norm_reference


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
    return found + variants(dtype)


def variants(dtype: torch.dtype) -> list[OpCase]:
    found = []
    for rows, cols, kwargs in (
        (9, 75, {"offset": 1.0}),
        (5, 64, {"partial": 0.25}),
        (3, 99, {"partial": 0.061}),
        (6, 33, {"partial": 0.98, "offset": -0.5}),
        (2, 3, {"partial": 0.01}),
    ):
        name = f"{rows}x{cols} " + " ".join(f"{key} {value}" for key, value in kwargs.items())
        args = (normal(rows, cols, dtype=dtype), normal(cols, dtype=dtype, seed=1) / 8)
        found.append(OpCase(name=name, args=args, kwargs=kwargs))
    return found


def wrong() -> list[WrongCase]:
    x = normal(2, 8)
    return [
        WrongCase(name="width", args=(x, normal(7)), error=ShapeError),
        WrongCase(name="rank", args=(x, normal(8, 1)), error=ShapeError),
        WrongCase(name="dtype", args=(x, normal(8, dtype=torch.bfloat16)), error=DtypeError),
        WrongCase(
            name="partial 0", args=(x, normal(8)), error=ConfigError, kwargs={"partial": 0.0}
        ),
        WrongCase(
            name="partial above 1", args=(x, normal(8)), error=ConfigError, kwargs={"partial": 1.5}
        ),
    ]


def dispatched(
    x: torch.Tensor,
    weight: torch.Tensor,
    *,
    eps: float = 1e-6,
    offset: float = 0.0,
    partial: float = 1.0,
) -> tuple[object, ...]:
    rms_cols = -1 if partial == 1.0 else rms_channels(x.shape[-1], partial)
    return x, weight, eps, offset, rms_cols


SPEC = OpSpec(
    name="rms_norm",
    public=rms_norm,
    reference=rms_norm_reference,
    grads=(0, 1),
    cases=cases,
    wrong=wrong,
    dispatcher=dispatched,
)
