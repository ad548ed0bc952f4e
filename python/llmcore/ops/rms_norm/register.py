"""Shapes for tracing and the gradient of the native rms_norm; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.shape_check import shape_error

load_libraries()
rms_norm_native = torch.ops.llmcore.rms_norm.default
rms_norm_no_grad_native = torch.ops.llmcore.rms_norm_no_grad.default
rms_norm_backward_native = torch.ops.llmcore.rms_norm_backward.default


def _fake(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    if weight.dim() != 1 or x.dim() < 1 or x.shape[-1] != weight.shape[0]:
        raise shape_error("rms_norm", "weight", "(C,)", weight)
    return x.new_empty(x.shape)


def _fake_backward(dy: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, eps = inputs
    ctx.save_for_backward(x, weight)
    ctx.eps = eps


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
    x, weight = ctx.saved_tensors
    dx, dweight = rms_norm_backward_native(dy, x, weight, ctx.eps)
    return dx, dweight, None


torch.library.register_fake("llmcore::rms_norm", _fake)
torch.library.register_fake("llmcore::rms_norm_no_grad", _fake)
torch.library.register_fake("llmcore::rms_norm_backward", _fake_backward)
torch.library.register_autograd("llmcore::rms_norm", _backward, setup_context=_save)
