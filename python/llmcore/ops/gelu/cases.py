"""Sample inputs of gelu: odd sizes, large values of both signs, views."""

import torch

from llmcore.errors import ConfigError, DtypeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.gelu import gelu
from llmcore.ops.gelu.reference import gelu_reference


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(
            name="x".join(map(str, shape)) + " " + approximate,
            args=(3 * normal(*shape, dtype=dtype),),
            kwargs={"approximate": approximate},
        )
        for shape in [(1,), (3, 31), (2, 5, 33), (2, 4099)]
        for approximate in ("none", "tanh")
    ]
    wide = normal(5, 66, dtype=dtype)
    found.append(OpCase(name="sliced", args=(wide[:, :33],)))
    found.append(OpCase(name="transposed", args=(wide.t(),)))
    found.append(OpCase(name="large", args=(20 * normal(2, 65, dtype=dtype),)))
    found.append(OpCase(name="empty", args=(wide[:0],)))
    return found


def wrong() -> list[WrongCase]:
    return [
        WrongCase(
            name="approximate",
            args=(normal(2, 8),),
            kwargs={"approximate": "erf"},
            error=ConfigError,
        ),
        WrongCase(name="dtype", args=(torch.arange(8),), error=DtypeError),
    ]


SPEC = OpSpec(
    name="gelu",
    public=gelu,
    reference=gelu_reference,
    source="activation",
    grads=(0,),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, *, approximate="none": (x, approximate == "tanh"),
)
