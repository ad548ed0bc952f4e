"""Sample inputs of global_norm: one and many tensors, odd sizes, tiny and huge numbers."""

import torch
from torch import Tensor

from llmcore.errors import DtypeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.global_norm import global_norm
from llmcore.ops.global_norm.reference import global_norm_reference


def _list(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> list[Tensor]:
    return [normal(*shape, dtype=dtype, seed=idx) for idx, shape in enumerate(shapes)]


def cases(dtype: torch.dtype) -> list[OpCase]:
    small, large = torch.finfo(dtype).smallest_normal, torch.finfo(dtype).max
    tiny = [tensor * 16 * small for tensor in _list([(33,), (5, 7)], dtype)]
    huge = [tensor * (large / 64) for tensor in _list([(9,), (4, 5)], dtype)]
    wide = normal(9, 40, dtype=dtype)
    return [
        OpCase(name="one", args=(_list([(1,)], dtype),)),
        OpCase(name="sizes", args=(_list([(1,), (31,), (33, 3), (4099,)], dtype),)),
        OpCase(name="blocks", args=(_list([(8192,), (0,), (8193,), (2, 3, 9000)], dtype),)),
        OpCase(name="tiny", args=(tiny,)),
        OpCase(name="huge", args=(huge,)),
        OpCase(name="strided", args=([wide[:, 3:20], wide.t(), wide[0, 0]],)),
        OpCase(name="no elements", args=(_list([(0, 3), (0,)], dtype),)),
        OpCase(name="none", args=([],)),
    ]


def wrong() -> list[WrongCase]:
    return [WrongCase(name="dtype", args=([torch.ones(3).int()],), error=DtypeError)]


SPEC = OpSpec(
    name="global_norm",
    public=global_norm,
    reference=global_norm_reference,
    cases=cases,
    wrong=wrong,
    dispatcher=lambda tensors: (tensors,),
)
