"""Sample inputs of add_rms_norm: odd widths, both residual scales, strided arguments."""

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.add_rms_norm import add_rms_norm
from llmcore.ops.add_rms_norm.reference import add_rms_norm_reference
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = []
    for shape, kwargs in (
        ((1, 1), {}),
        ((5, 31), {}),
        ((3, 33), {"residual_scale": 2.2133638}),
        ((2, 3, 128), {"offset": 1.0}),
        ((130, 192), {"residual_scale": 0.5, "eps": 1e-5}),
        ((2, 4099), {}),
        ((0, 48), {}),
    ):
        args = (
            normal(*shape, dtype=dtype),
            normal(*shape, dtype=dtype, seed=2),
            1 + normal(shape[-1], dtype=dtype, seed=1) / 8,
        )
        found.append(OpCase(name="x".join(map(str, shape)), args=args, kwargs=dict(kwargs)))
    wide, weight = normal(6, 96, dtype=dtype), normal(48, dtype=dtype, seed=1)
    found.append(OpCase(name="sliced", args=(wide[:, 24:72], wide[:, 48:], weight)))
    turned = normal(48, 6, dtype=dtype).t()
    found.append(OpCase(name="transposed", args=(wide[:, :48], turned, weight)))
    return found


def wrong() -> list[WrongCase]:
    x, weight, low = normal(2, 8), normal(8), normal(2, 8, dtype=torch.bfloat16)
    return [
        WrongCase(name="width", args=(x, x, normal(7)), error=ShapeError),
        WrongCase(name="residual", args=(x, normal(1, 8), weight), error=ShapeError),
        WrongCase(name="dtype", args=(x, low, weight), error=DtypeError),
        WrongCase(name="weight dtype", args=(low, low, weight), error=DtypeError),
    ]


SPEC = OpSpec(
    name="add_rms_norm",
    source="rms_norm",
    public=add_rms_norm,
    reference=add_rms_norm_reference,
    grads=(0, 1, 2),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, residual, weight, *, eps=1e-6, residual_scale=1.0, offset=0.0: (
        x,
        residual,
        weight,
        eps,
        residual_scale,
        offset,
    ),
)
