"""Sample inputs of swiglu: odd sizes, large gates, halves of a fused projection, views."""

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.swiglu import swiglu
from llmcore.ops.swiglu.reference import swiglu_reference


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(
            name="x".join(map(str, shape)),
            args=(3 * normal(*shape, dtype=dtype), normal(*shape, dtype=dtype, seed=1)),
        )
        for shape in [(1,), (3, 31), (2, 5, 33), (2, 4099)]
    ]
    fused = normal(5, 66, dtype=dtype)
    found.append(OpCase(name="sliced", args=(fused[:, :33], fused[:, 33:])))
    deep = normal(2, 3, 4, 40, dtype=dtype)
    found.append(OpCase(name="inner axes", args=(deep[:, 1:, :, :17], deep[:, :2, :, 20:37])))
    found.append(OpCase(name="transposed", args=(fused.t(), normal(66, 5, dtype=dtype, seed=1))))
    found.append(
        OpCase(name="large", args=(20 * normal(2, 65, dtype=dtype), normal(2, 65, dtype=dtype)))
    )
    found.append(OpCase(name="empty", args=(fused[:0], fused[:0])))
    return found


def wrong() -> list[WrongCase]:
    return [
        WrongCase(name="shape", args=(normal(2, 8), normal(2, 7)), error=ShapeError),
        WrongCase(
            name="dtype", args=(normal(2, 8), normal(2, 8, dtype=torch.float16)), error=DtypeError
        ),
    ]


SPEC = OpSpec(
    name="swiglu",
    public=swiglu,
    reference=swiglu_reference,
    source="activation",
    grads=(0, 1),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda gate, up: (gate, up),
)
