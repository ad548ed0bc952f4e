"""The definition of adamw_ in plain PyTorch."""

from collections.abc import Sequence

from torch import Tensor


def adamw_reference_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """One AdamW step in place; `step` counts from 1."""
    beta1, beta2 = betas
    for param, grad, exp_avg, exp_avg_sq in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        param.mul_(1 - lr * weight_decay)
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        mean = exp_avg / (1 - beta1**step)
        root = (exp_avg_sq / (1 - beta2**step)).sqrt()
        param.add_(mean / (root + eps), alpha=-lr)
