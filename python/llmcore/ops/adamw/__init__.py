"""AdamW over lists of tensors: native C++ on CPU, PyTorch's fused kernel on CUDA."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import increment_version

from llmcore.ops.adamw.pytorch import adamw_torch_
from llmcore.ops.adamw.reference import Weight, adamw_reference_
from llmcore.ops.adamw.register import adamw_native_, scale_tensor, split_weights
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "Weight", "adamw_"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


@torch.no_grad()
def adamw_(
    params: Sequence[Weight],
    grads: Sequence[Float[Tensor, "..."]],
    exp_avgs: Sequence[Float[Tensor, "..."]],
    exp_avg_sqs: Sequence[Float[Tensor, "..."]],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    grad_scale: float | Float[Tensor, ""] = 1.0,
) -> None:
    r"""Take one AdamW step on every tensor of the lists, in place, with decoupled decay.

        g <- grad_scale * g
        m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
        w <- (1 - lr * weight_decay) * w
        w <- w - lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)

    Args:
        params: Weights w, float32, bfloat16 or float16, all on one device. A pair (param, master)
            keeps w in the float32 `master`; `param` becomes its rounding.
        grads: Gradients g, one per weight, of the shape and dtype of its param; only read.
        exp_avgs: First moments m, float32 (float64 for float64 weights).
        exp_avg_sqs: Second moments v, as m.
        step: Number of this step, from 1.
        lr: Learning rate.
        betas: Decay of the two moments per step.
        eps: Added to the root of the second moment.
        weight_decay: Fraction of the weight that a step of lr 1 would remove.
        grad_scale: Factor of all gradients, such as that of clipping; a 0-dim tensor or a number.

    Raises:
        ShapeError: the lists differ in length, or a tensor in shape from its weight.
        DtypeError: a gradient, moment or master has another dtype than it should.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: factors of the formula in float64, elements in float32; a low-precision param is
    rounded once. NaN and infinity of a gradient reach the moments and the weight. float64 weights
    run the reference.
    Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.
    """
    if not params:
        _check(params, grads, exp_avgs, exp_avg_sqs)
        return
    weights, masters = split_weights(params)
    chosen = choose("adamw_", BACKENDS, weights[0].device.type)
    if chosen == NATIVE and weights[0].dtype != torch.float64:
        lists = (weights, list(grads), list(exp_avgs), list(exp_avg_sqs), masters)
        scale = scale_tensor(grad_scale)
        try:
            adamw_native_(*lists, scale, step, lr, *betas, eps, weight_decay)
        except RuntimeError:  # nothing was changed: name what is wrong
            _check(params, grads, exp_avgs, exp_avg_sqs)
            raise
        if not torch.compiler.is_compiling():  # autograd shall see a weight that it saved change
            increment_version(weights)
        return
    _check(params, grads, exp_avgs, exp_avg_sqs)
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
        grad_scale=grad_scale,
    )


def _check(
    params: Sequence[Weight],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
) -> None:
    lists = {"grads": grads, "exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs}
    for name, tensors in lists.items():
        if len(tensors) != len(params):
            got = torch.empty(len(tensors))
            raise shape_error("adamw_", name, f"a list of {len(params)} tensors", got)
    for idx, weight in enumerate(params):
        param = weight if isinstance(weight, Tensor) else weight[0]
        if not param.dtype.is_floating_point:
            raise dtype_error("adamw_", f"params[{idx}]", "a float dtype", param)
        wide = torch.promote_types(param.dtype, torch.float32)
        wanted = [(f"{name}[{idx}]", tensors[idx], wide) for name, tensors in lists.items()]
        wanted[0] = (*wanted[0][:2], param.dtype)
        if not isinstance(weight, Tensor):
            wanted.append((f"params[{idx}][1], a master,", weight[1], wide))
        for argument, tensor, dtype in wanted:
            if tensor.shape != param.shape:
                raise shape_error("adamw_", argument, f"{tuple(param.shape)}", tensor)
            if tensor.dtype != dtype:
                raise dtype_error("adamw_", argument, f"{dtype}", tensor)
