"""Schema and tracing of llmcore::adamw_. It changes its arguments and has no gradient."""

import torch
from torch import Tensor

from llmcore.ops.adamw.pytorch import adamw_torch_


@torch.library.custom_op("llmcore::adamw_", mutates_args=("params", "exp_avgs", "exp_avg_sqs"))
def adamw_op_(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    adamw_torch_(
        params,
        grads,
        exp_avgs,
        exp_avg_sqs,
        step=step,
        lr=lr,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
    )


@adamw_op_.register_fake
def _fake(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    return None
