"""Shapes for tracing and the gradients of the native add_rms_norm; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.rms_norm.reference import rms_norm_reference
from llmcore.ops.second_order import differentiable_gradients
from llmcore.ops.shape_check import shape_error

load_libraries()
add_rms_norm_native = torch.ops.llmcore.add_rms_norm.default
add_rms_norm_no_grad_native = torch.ops.llmcore.add_rms_norm_no_grad.default
add_rms_norm_backward_native = torch.ops.llmcore.add_rms_norm_backward.default

Gradients = tuple[Tensor | None, ...]


class AddRmsNormFunction(torch.autograd.Function):
    """The gradient outside of graphs: half the cost per call of the registered op's layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor,
        weight: Tensor,
        eps: float,
        residual_scale: float,
        offset: float,
    ) -> tuple[Tensor, Tensor]:
        y, h = add_rms_norm_no_grad_native(x, residual, weight, eps, residual_scale, offset)
        ctx.save_for_backward(h, weight)
        ctx.options = eps, residual_scale, offset
        ctx.set_materialize_grads(False)
        return y, h

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
        if torch.is_grad_enabled():
            return _backward_twice(ctx, dy, dh)
        return _backward(ctx, dy, dh)


def _backward(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
    h, weight = ctx.saved_tensors
    dy = torch.zeros_like(h) if dy is None else dy
    dh = h.new_empty(0) if dh is None else dh
    dx, dresidual, dweight = add_rms_norm_backward_native(dy, dh, h, weight, *ctx.options)
    return dx, dx if ctx.options[1] == 1.0 else dresidual, dweight, None, None, None


def _backward_twice(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
    h, weight = ctx.saved_tensors
    eps, residual_scale, offset = ctx.options

    def plain(h: Tensor, weight: Tensor) -> Tensor:
        return rms_norm_reference(h, weight, eps=eps, offset=offset)

    dy = torch.zeros_like(h) if dy is None else dy
    dx, dweight = differentiable_gradients(plain, (h, weight), dy)
    dx = dx if dh is None else dx + dh
    return dx, residual_scale * dx, dweight, None, None, None


def _fake(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float, residual_scale: float, offset: float
) -> tuple[Tensor, Tensor]:
    if weight.dim() != 1 or x.dim() < 1 or x.shape[-1] != weight.shape[0]:
        raise shape_error("add_rms_norm", "weight", "(C,)", weight)
    return x.new_empty(x.shape), x.new_empty(x.shape)


def _fake_backward(
    dy: Tensor,
    dh: Tensor,
    h: Tensor,
    weight: Tensor,
    eps: float,
    residual_scale: float,
    offset: float,
) -> tuple[Tensor, Tensor, Tensor]:
    dresidual = h.new_empty(0) if residual_scale == 1.0 else h.new_empty(h.shape)
    return h.new_empty(h.shape), dresidual, weight.new_empty(weight.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, _, weight, *options = inputs
    ctx.save_for_backward(output[1], weight)
    ctx.options = options
    ctx.set_materialize_grads(False)


torch.library.register_fake("llmcore::add_rms_norm", _fake)
torch.library.register_fake("llmcore::add_rms_norm_no_grad", _fake)
torch.library.register_fake("llmcore::add_rms_norm_backward", _fake_backward)
torch.library.register_autograd("llmcore::add_rms_norm", _backward, setup_context=_save)
