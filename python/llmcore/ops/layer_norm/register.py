"""Shapes for tracing and the gradients of the native layer_norm; its schema is in csrc/torch.

The schema has no optional tensors: an empty bias stands for none.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.layer_norm.reference import layer_norm_reference
from llmcore.ops.second_order import differentiable_gradients
from llmcore.ops.shape_check import shape_error

load_libraries()
layer_norm_native = torch.ops.llmcore.layer_norm.default
layer_norm_no_grad_native = torch.ops.llmcore.layer_norm_no_grad.default
layer_norm_backward_native = torch.ops.llmcore.layer_norm_backward.default


@functools.cache
def no_bias(dtype: torch.dtype) -> Tensor:
    """Return the empty CPU tensor that stands for no bias outside of graphs."""
    with torch.inference_mode(False):
        return torch.empty(0, dtype=dtype)


class LayerNormFunction(torch.autograd.Function):
    """The gradient outside of graphs: half the cost per call of the registered op's layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.with_bias, ctx.eps = bias is not None, eps
        return layer_norm_no_grad_native(x, weight, no_bias(x.dtype) if bias is None else bias, eps)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_backward_twice(dy, x, weight, ctx.with_bias, ctx.eps), None
        dx, dweight, dbias = layer_norm_backward_native(dy, x, weight, ctx.with_bias, ctx.eps)
        return dx, dweight, dbias if ctx.with_bias else None, None


def _backward_twice(
    dy: Tensor, x: Tensor, weight: Tensor, with_bias: bool, eps: float
) -> tuple[Tensor | None, ...]:
    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return layer_norm_reference(x, weight, eps=eps)

    dbias = dy.flatten(0, -2).sum(dim=0) if with_bias else None
    return *differentiable_gradients(plain, (x, weight), dy), dbias


def _fake(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    if weight.dim() != 1 or x.dim() < 1 or x.shape[-1] != weight.shape[0]:
        raise shape_error("layer_norm", "weight", "(C,)", weight)
    return x.new_empty(x.shape)


def _fake_backward(
    dy: Tensor, x: Tensor, weight: Tensor, with_bias: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dbias = weight.new_empty(weight.shape if with_bias else 0)
    return x.new_empty(x.shape), weight.new_empty(weight.shape), dbias


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, eps = inputs
    ctx.save_for_backward(x, weight)
    ctx.with_bias, ctx.eps = bias.numel() != 0, eps


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    return *layer_norm_backward_native(dy, x, weight, ctx.with_bias, ctx.eps), None


torch.library.register_fake("llmcore::layer_norm", _fake)
torch.library.register_fake("llmcore::layer_norm_no_grad", _fake)
torch.library.register_fake("llmcore::layer_norm_backward", _fake_backward)
torch.library.register_autograd("llmcore::layer_norm", _backward, setup_context=_save)
