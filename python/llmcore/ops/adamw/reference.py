"""The definition of adamw_ in plain PyTorch."""

from collections.abc import Sequence

import torch
from torch import Tensor

Weight = Tensor | tuple[Tensor, Tensor] | list[Tensor]
"""A parameter, or the pair of a low-precision parameter and its float32 master."""


def adamw_reference_(
    params: Sequence[Weight],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    grad_scale: float | Tensor = 1.0,
) -> None:
    """One AdamW step in place; `step` counts from 1."""
    beta1, beta2 = betas
    for weight, grad, exp_avg, exp_avg_sq in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        param, master = (weight, weight) if isinstance(weight, Tensor) else weight
        wide = master.to(torch.promote_types(master.dtype, torch.float32))
        scaled = grad.to(wide.dtype) * grad_scale
        exp_avg.mul_(beta1).add_(scaled, alpha=1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(scaled, scaled, value=1 - beta2)
        mean = exp_avg / (1 - beta1**step)
        root = (exp_avg_sq / (1 - beta2**step)).sqrt()
        new = wide * (1 - lr * weight_decay) - lr * (mean / (root + eps))
        master.copy_(new)
        param.copy_(new)
