"""AdamW over lists of tensors: PyTorch's fused kernel on every device, for now."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.adamw.pytorch import adamw_torch_
from llmcore.ops.adamw.reference import adamw_reference_
from llmcore.ops.adamw.register import adamw_op_
from llmcore.ops.backend import TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "adamw_", "adamw_op_"]

BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


@torch.no_grad()
def adamw_(
    params: Sequence[Float[Tensor, "..."]],
    grads: Sequence[Float[Tensor, "..."]],
    exp_avgs: Sequence[Float[Tensor, "..."]],
    exp_avg_sqs: Sequence[Float[Tensor, "..."]],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    r"""Take one AdamW step on every tensor of the lists, in place, with decoupled decay.

        w <- w - lr * weight_decay * w
        m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
        w <- w - lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)

    Args:
        params: Weights w. All tensors of all lists are on one device.
        grads: Gradients g, one per weight, of its shape and dtype.
        exp_avgs: First moments m.
        exp_avg_sqs: Second moments v.
        step: Number of this step, from 1.
        lr: Learning rate.
        betas: Decay of the two moments per step.
        eps: Added to the root of the second moment.
        weight_decay: Fraction of the weight that a step of lr 1 would remove.

    Raises:
        ShapeError: the lists differ in length, or a tensor in shape from its weight.
        DtypeError: a gradient has another dtype than its weight.
        KernelUnavailable: the forced backend has no kernel for this device.

    Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.
    """
    _check(params, grads, "grads")
    _check(params, exp_avgs, "exp_avgs")
    _check(params, exp_avg_sqs, "exp_avg_sqs")
    if not params:
        return
    chosen = choose("adamw_", BACKENDS, params[0].device.type)
    if chosen == TORCH and torch.compiler.is_compiling():
        lists = (list(params), list(grads), list(exp_avgs), list(exp_avg_sqs))
        adamw_op_(*lists, step, lr, *betas, eps, weight_decay)
        return
    step_fn = adamw_torch_ if chosen == TORCH else adamw_reference_
    step_fn(
        params,
        grads,
        exp_avgs,
        exp_avg_sqs,
        step=step,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
    )


def _check(params: Sequence[Tensor], others: Sequence[Tensor], name: str) -> None:
    if len(others) != len(params):
        missing = torch.empty(len(others))
        raise shape_error("adamw_", name, f"a list of {len(params)} tensors", missing)
    for idx, (param, other) in enumerate(zip(params, others, strict=True)):
        if other.shape != param.shape:
            raise shape_error("adamw_", f"{name}[{idx}]", f"{tuple(param.shape)}", other)
        if other.dtype != param.dtype:
            raise dtype_error("adamw_", f"{name}[{idx}]", f"{param.dtype} as its weight is", other)
