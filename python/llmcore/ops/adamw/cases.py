"""Sample inputs of adamw_: several tensors, a late step, no decay, a scalar."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.adamw import adamw_
from llmcore.ops.adamw.reference import adamw_reference_
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal

HYPER: dict[str, Any] = {
    "step": 3,
    "lr": 1e-2,
    "betas": (0.9, 0.95),
    "eps": 1e-8,
    "weight_decay": 0.1,
}


def _lists(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> tuple[list[Tensor], ...]:
    params = [normal(*shape, dtype=dtype) for shape in shapes]
    grads = [normal(*shape, dtype=dtype, seed=1) for shape in shapes]
    exp_avgs = [normal(*shape, dtype=dtype, seed=2) / 10 for shape in shapes]
    exp_avg_sqs = [normal(*shape, dtype=dtype, seed=3).square() for shape in shapes]
    return params, grads, exp_avgs, exp_avg_sqs


def cases(dtype: torch.dtype) -> list[OpCase]:
    return [
        OpCase(name="sizes", args=_lists([(1,), (31,), (33, 3), (4099,)], dtype), kwargs=HYPER),
        OpCase(name="first", args=_lists([(7, 5)], dtype), kwargs=HYPER | {"step": 1}),
        OpCase(name="late", args=_lists([(65,)], dtype), kwargs=HYPER | {"step": 5000}),
        OpCase(name="no decay", args=_lists([(9,)], dtype), kwargs=HYPER | {"weight_decay": 0.0}),
        OpCase(name="empty", args=_lists([(0, 3)], dtype), kwargs=HYPER),
        OpCase(name="none", args=([], [], [], []), kwargs=HYPER),
    ]


def wrong() -> list[WrongCase]:
    params, grads, exp_avgs, exp_avg_sqs = _lists([(3,), (4,)], torch.float32)
    return [
        WrongCase(
            name="count",
            args=(params, grads[:1], exp_avgs, exp_avg_sqs),
            kwargs=HYPER,
            error=ShapeError,
        ),
        WrongCase(
            name="shape",
            args=(params, grads[::-1], exp_avgs, exp_avg_sqs),
            kwargs=HYPER,
            error=ShapeError,
        ),
        WrongCase(
            name="dtype",
            args=(params, [g.half() for g in grads], exp_avgs, exp_avg_sqs),
            kwargs=HYPER,
            error=DtypeError,
        ),
    ]


def _dispatcher(*lists: list[Tensor], betas: tuple[float, float], **hyper: Any) -> tuple[Any, ...]:
    return (
        *lists,
        hyper["step"],
        hyper["lr"],
        *betas,
        hyper["eps"],
        hyper["weight_decay"],
    )


SPEC = OpSpec(
    name="adamw_",
    public=adamw_,
    reference=adamw_reference_,
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
    dtypes=(torch.float32,),
)
