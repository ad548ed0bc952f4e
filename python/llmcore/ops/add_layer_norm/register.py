"""Shapes for tracing and the gradients of the native add_layer_norm; its schema is in csrc/torch.

The schema has no optional tensors: an empty bias or dh stands for none.
"""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.layer_norm.reference import layer_norm_reference
from llmcore.ops.layer_norm.register import no_bias
from llmcore.ops.second_order import differentiable_gradients
from llmcore.ops.shape_check import shape_error

load_libraries()
add_layer_norm_native = torch.ops.llmcore.add_layer_norm.default
add_layer_norm_no_grad_native = torch.ops.llmcore.add_layer_norm_no_grad.default
add_layer_norm_backward_native = torch.ops.llmcore.add_layer_norm_backward.default

Gradients = tuple[Tensor | None, ...]


class AddLayerNormFunction(torch.autograd.Function):
    """The gradient outside of graphs: half the cost per call of the registered op's layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        eps: float,
        residual_scale: float,
    ) -> tuple[Tensor, Tensor]:
        given = no_bias(x.dtype) if bias is None else bias
        y, h = add_layer_norm_no_grad_native(x, residual, weight, given, eps, residual_scale)
        ctx.save_for_backward(h, weight)
        ctx.options = bias is not None, eps, residual_scale
        ctx.set_materialize_grads(False)
        return y, h

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
        if torch.is_grad_enabled():
            return _backward_twice(ctx, dy, dh)
        dx, dresidual, dweight, dbias, *rest = _backward(ctx, dy, dh)
        return dx, dresidual, dweight, dbias if ctx.options[0] else None, *rest


def _backward(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
    h, weight = ctx.saved_tensors
    dy = torch.zeros_like(h) if dy is None else dy
    dh = h.new_empty(0) if dh is None else dh
    dx, dresidual, dweight, dbias = add_layer_norm_backward_native(dy, dh, h, weight, *ctx.options)
    return dx, dx if ctx.options[2] == 1.0 else dresidual, dweight, dbias, None, None


def _backward_twice(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> Gradients:
    h, weight = ctx.saved_tensors
    with_bias, eps, residual_scale = ctx.options

    def plain(h: Tensor, weight: Tensor) -> Tensor:
        return layer_norm_reference(h, weight, eps=eps)

    dy = torch.zeros_like(h) if dy is None else dy
    dx, dweight = differentiable_gradients(plain, (h, weight), dy)
    dx = dx if dh is None else dx + dh
    dbias = dy.flatten(0, -2).sum(dim=0) if with_bias else None
    return dx, residual_scale * dx, dweight, dbias, None, None


def _fake(
    x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, eps: float, residual_scale: float
) -> tuple[Tensor, Tensor]:
    if weight.dim() != 1 or x.dim() < 1 or x.shape[-1] != weight.shape[0]:
        raise shape_error("add_layer_norm", "weight", "(C,)", weight)
    return x.new_empty(x.shape), x.new_empty(x.shape)


def _fake_backward(
    dy: Tensor,
    dh: Tensor,
    h: Tensor,
    weight: Tensor,
    with_bias: bool,
    eps: float,
    residual_scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dresidual = h.new_empty(0) if residual_scale == 1.0 else h.new_empty(h.shape)
    dbias = weight.new_empty(weight.shape if with_bias else 0)
    return h.new_empty(h.shape), dresidual, weight.new_empty(weight.shape), dbias


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, _, weight, bias, eps, residual_scale = inputs
    ctx.save_for_backward(output[1], weight)
    ctx.options = bias.numel() != 0, eps, residual_scale
    ctx.set_materialize_grads(False)


torch.library.register_fake("llmcore::add_layer_norm", _fake)
torch.library.register_fake("llmcore::add_layer_norm_no_grad", _fake)
torch.library.register_fake("llmcore::add_layer_norm_backward", _fake_backward)
torch.library.register_autograd("llmcore::add_layer_norm", _backward, setup_context=_save)
