"""Sample inputs of adamw_: several tensors, a late step, no decay, masters, scaled gradients."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.adamw import adamw_
from llmcore.ops.adamw.reference import adamw_reference_
from llmcore.ops.adamw.register import scale_tensor, split_weights
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
    exp_avgs = [normal(*shape, seed=2) / 10 for shape in shapes]
    exp_avg_sqs = [normal(*shape, seed=3).square() for shape in shapes]
    return params, grads, exp_avgs, exp_avg_sqs


def _with_masters(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> tuple[Any, ...]:
    params, *others = _lists(shapes, dtype)
    masters = [normal(*shape) for shape in shapes]
    pairs: list[Any] = list(zip(params, masters, strict=True))
    pairs[0] = params[0]
    return pairs, *others


def cases(dtype: torch.dtype) -> list[OpCase]:
    sliced = tuple([tensors[0][:, 2:9]] for tensors in _lists([(5, 12)], dtype))
    scale = torch.tensor(0.25)
    return [
        OpCase(name="sizes", args=_lists([(1,), (31,), (33, 3), (4099,)], dtype), kwargs=HYPER),
        OpCase(name="first", args=_lists([(7, 5)], dtype), kwargs=HYPER | {"step": 1}),
        OpCase(name="late", args=_lists([(65,)], dtype), kwargs=HYPER | {"step": 5000}),
        OpCase(name="no decay", args=_lists([(9,)], dtype), kwargs=HYPER | {"weight_decay": 0.0}),
        OpCase(name="scaled", args=_lists([(65,)], dtype), kwargs=HYPER | {"grad_scale": 0.1}),
        OpCase(name="tensor", args=_lists([(6,)], dtype), kwargs=HYPER | {"grad_scale": scale}),
        OpCase(name="masters", args=_with_masters([(99,), (1030,), (16, 5)], dtype), kwargs=HYPER),
        OpCase(name="no memory", args=_lists([(65,)], dtype), kwargs=HYPER | {"betas": (0.0, 0.0)}),
        OpCase(name="sliced", args=sliced, kwargs=HYPER),
        OpCase(name="gap", args=_lists([(1025,), (0, 3), (0,), (40, 60)], dtype), kwargs=HYPER),
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
        WrongCase(
            name="moments",
            args=(params, grads, [m.half() for m in exp_avgs], exp_avg_sqs),
            kwargs=HYPER,
            error=DtypeError,
        ),
        WrongCase(
            name="master",
            args=(list(zip(params, grads[::-1], strict=True)), grads, exp_avgs, exp_avg_sqs),
            kwargs=HYPER,
            error=ShapeError,
        ),
    ]


def _dispatcher(
    params: list[Any], *lists: list[Tensor], betas: tuple[float, float], **hyper: Any
) -> tuple[Any, ...]:
    scale = scale_tensor(hyper.get("grad_scale", 1.0))
    weights, masters = split_weights(params)
    numbers = (hyper["step"], hyper["lr"], *betas, hyper["eps"], hyper["weight_decay"])
    return (weights, *lists, masters, scale, *numbers)


SPEC = OpSpec(
    name="adamw_",
    public=adamw_,
    reference=adamw_reference_,
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
    source="adamw",
)
