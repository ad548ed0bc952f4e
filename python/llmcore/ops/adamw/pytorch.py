"""adamw_ through PyTorch's fused kernel: one pass over all tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from llmcore.ops.adamw.reference import Weight


def adamw_torch_(
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
    # The fused kernel takes one dtype: low-precision weights step as float32 copies or masters.
    pairs = [(weight, weight) if isinstance(weight, Tensor) else weight for weight in params]
    wide = [master.to(exp_avg.dtype) for (_, master), exp_avg in zip(pairs, exp_avgs, strict=True)]
    wide_grads = [grad.to(weight.dtype) for grad, weight in zip(grads, wide, strict=True)]
    if isinstance(grad_scale, Tensor) or grad_scale != 1:
        wide_grads = list(torch._foreach_mul(wide_grads, grad_scale))
    step_tensor = torch.tensor(float(step), device=wide[0].device)
    torch._fused_adamw_(
        wide,
        wide_grads,
        list(exp_avgs),
        list(exp_avg_sqs),
        [],
        [step_tensor] * len(wide),
        lr=lr,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=weight_decay,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )
    for (param, master), new in zip(pairs, wide, strict=True):
        if new is not master:
            master.copy_(new)
        if new is not param:
            param.copy_(new)
