"""Sample inputs of relu2: odd sizes, large values of both signs, views."""

import torch

from llmcore.errors import DtypeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.relu2 import relu2
from llmcore.ops.relu2.reference import relu2_reference


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(name="x".join(map(str, shape)), args=(3 * normal(*shape, dtype=dtype),))
        for shape in [(1,), (3, 31), (2, 5, 33), (2, 4099)]
    ]
    wide = normal(5, 66, dtype=dtype)
    found.append(OpCase(name="sliced", args=(wide[:, :33],)))
    found.append(OpCase(name="transposed", args=(wide.t(),)))
    found.append(OpCase(name="large", args=(20 * normal(2, 65, dtype=dtype),)))
    found.append(OpCase(name="empty", args=(wide[:0],)))
    return found


def wrong() -> list[WrongCase]:
    return [
        WrongCase(name="dtype", args=(torch.arange(8),), error=DtypeError),
    ]


SPEC = OpSpec(
    name="relu2",
    public=relu2,
    reference=relu2_reference,
    source="activation",
    grads=(0,),
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x: (x,),
)
