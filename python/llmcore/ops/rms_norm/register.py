"""Shapes for tracing and the gradients of the native rms_norm; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.rms_norm.reference import rms_norm_reference
from llmcore.ops.second_order import differentiable_gradients
from llmcore.ops.shape_check import shape_error

load_libraries()
rms_norm_native = torch.ops.llmcore.rms_norm.default
rms_norm_no_grad_native = torch.ops.llmcore.rms_norm_no_grad.default
rms_norm_backward_native = torch.ops.llmcore.rms_norm_backward.default


class RmsNormFunction(torch.autograd.Function):
    """The gradient outside of graphs: half the cost per call of the registered op's layer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, eps: float, offset: float, rms_cols: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options = eps, offset, rms_cols
        return rms_norm_no_grad_native(x, weight, eps, offset, rms_cols)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            dx, dweight = _backward_twice(dy, x, weight, *ctx.options)
        else:
            dx, dweight = rms_norm_backward_native(dy, x, weight, *ctx.options)
        return dx, dweight, None, None, None


def _backward_twice(
    dy: Tensor, x: Tensor, weight: Tensor, eps: float, offset: float, rms_cols: int
) -> tuple[Tensor, ...]:
    partial = 1.0 if rms_cols == -1 else rms_cols / x.shape[-1]

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm_reference(x, weight, eps=eps, offset=offset, partial=partial)

    return differentiable_gradients(plain, (x, weight), dy)


def _fake(x: Tensor, weight: Tensor, eps: float, offset: float = 0.0, rms_cols: int = -1) -> Tensor:
    if weight.dim() != 1 or x.dim() < 1 or x.shape[-1] != weight.shape[0]:
        raise shape_error("rms_norm", "weight", "(C,)", weight)
    return x.new_empty(x.shape)


def _fake_backward(
    dy: Tensor, x: Tensor, weight: Tensor, eps: float, offset: float = 0.0, rms_cols: int = -1
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, *options = inputs
    ctx.save_for_backward(x, weight)
    ctx.options = options


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    dx, dweight = rms_norm_backward_native(dy, x, weight, *ctx.options)
    return dx, dweight, None, None, None


torch.library.register_fake("llmcore::rms_norm", _fake)
torch.library.register_fake("llmcore::rms_norm_no_grad", _fake)
torch.library.register_fake("llmcore::rms_norm_backward", _fake_backward)
torch.library.register_autograd("llmcore::rms_norm", _backward, setup_context=_save)
