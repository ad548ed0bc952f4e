"""Sample inputs of rope_: those of rope that can be written in place."""

import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.rope.cases import cases as rope_cases
from llmcore.ops.rope.cases import tables
from llmcore.ops.rope.register import NO_POSITIONS
from llmcore.ops.rope_ import rope_
from llmcore.ops.rope_.reference import rope_reference_


def cases(dtype: torch.dtype) -> list[OpCase]:
    return [case for case in rope_cases(dtype) if case.name != "channels apart"]


def wrong() -> list[WrongCase]:
    cos, sin = tables(torch.arange(4), 8)
    x = normal(2, 4, 3, 8)
    at = {"positions": torch.tensor([0, 1, 2, 4])}
    leaf = normal(2, 4, 3, 8).requires_grad_()
    return [
        WrongCase(name="length", args=(x[:, :3], cos, sin), error=ShapeError),
        WrongCase(name="table", args=(x, cos.double(), sin.double()), error=DtypeError),
        WrongCase(name="beyond", args=(x, cos, sin), kwargs=at, error=IndexError),
        WrongCase(name="leaf", args=(leaf, cos, sin), error=RuntimeError),
    ]


SPEC = OpSpec(
    name="rope_",
    public=rope_,
    reference=rope_reference_,
    source="rope",
    cases=cases,
    wrong=wrong,
    dispatcher=lambda x, cos, sin, *, interleaved=False, positions=NO_POSITIONS: (
        x,
        cos,
        sin,
        positions,
        interleaved,
        False,
    ),
)
