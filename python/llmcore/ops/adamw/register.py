"""Tracing of the native adamw_, which changes its arguments and has no gradient, and the form of
its arguments; its schema is in csrc/torch."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.adamw.reference import Weight

load_libraries()
adamw_native_ = torch.ops.llmcore.adamw_.default


def split_weights(params: Sequence[Weight]) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters, and per parameter its master or an empty tensor; no masters at all: []."""
    if not any(isinstance(weight, (tuple, list)) for weight in params):
        return list(cast(Sequence[Tensor], params)), []
    weights, masters = [], []
    for weight in params:
        param, master = weight if isinstance(weight, (tuple, list)) else (weight, torch.empty(0))
        weights.append(param)
        masters.append(master)
    return weights, masters


def scale_tensor(grad_scale: float | Tensor) -> Tensor:
    """The scale as the schema takes it: 0-dim float64, or a 0-dim tensor of the caller."""
    if isinstance(grad_scale, Tensor):
        return grad_scale
    return torch.tensor(grad_scale, dtype=torch.float64)


def _fake(*arguments: object) -> None:
    return None


torch.library.register_fake("llmcore::adamw_", _fake)
