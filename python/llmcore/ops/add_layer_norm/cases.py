"""Sample inputs of add_layer_norm: odd widths, DeepNorm's scale, with and without bias."""

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.add_layer_norm import add_layer_norm
from llmcore.ops.add_layer_norm.reference import add_layer_norm_reference
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = []
    for shape, kwargs in (
        ((2, 2), {}),
        ((5, 31), {}),
        ((3, 33), {"residual_scale": 2.2133638}),
        ((2, 3, 128), {"eps": 1e-6}),
        ((130, 192), {"residual_scale": 0.5}),
        ((2, 4099), {}),
        ((0, 48), {}),
    ):
        args = (
            normal(*shape, dtype=dtype),
            normal(*shape, dtype=dtype, seed=2),
            1 + normal(shape[-1], dtype=dtype, seed=1) / 8,
            normal(shape[-1], dtype=dtype, seed=3),
        )
        found.append(OpCase(name="x".join(map(str, shape)), args=args, kwargs=dict(kwargs)))
    wide, weight = normal(6, 96, dtype=dtype), normal(48, dtype=dtype, seed=1)
    found.append(OpCase(name="sliced, no bias", args=(wide[:, 24:72], wide[:, 48:], weight)))
    turned = normal(48, 6, dtype=dtype).t()
    found.append(OpCase(name="transposed", args=(wide[:, :48], turned, weight, weight)))
    return found


def wrong() -> list[WrongCase]:
    x, weight, low = normal(2, 8), normal(8), normal(2, 8, dtype=torch.bfloat16)
    return [
        WrongCase(name="width", args=(x, x, normal(7)), error=ShapeError),
        WrongCase(name="bias", args=(x, x, weight, normal(7)), error=ShapeError),
        WrongCase(name="residual", args=(x, normal(1, 8), weight), error=ShapeError),
        WrongCase(name="dtype", args=(x, low, weight), error=DtypeError),
    ]


def dispatched(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    eps: float = 1e-5,
    residual_scale: float = 1.0,
) -> tuple[object, ...]:
    return x, residual, weight, x.new_empty(0) if bias is None else bias, eps, residual_scale


SPEC = OpSpec(
    name="add_layer_norm",
    source="layer_norm",
    public=add_layer_norm,
    reference=add_layer_norm_reference,
    grads=(0, 1, 2, 3),
    cases=cases,
    wrong=wrong,
    dispatcher=dispatched,
)
