"""Shapes for tracing and the gradient of the native gelu; its schema is in csrc/torch."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.gelu.reference import gelu_reference
from llmcore.ops.second_order import differentiable_gradients

load_libraries()
gelu_native = torch.ops.llmcore.gelu.default
gelu_no_grad_native = torch.ops.llmcore.gelu_no_grad.default
gelu_backward_native = torch.ops.llmcore.gelu_backward.default


def _fake(x: Tensor, tanh: bool) -> Tensor:
    return x.new_empty(x.shape)


def _fake_backward(dy: Tensor, x: Tensor, tanh: bool) -> Tensor:
    return x.new_empty(x.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.tanh = inputs
    ctx.save_for_backward(x)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
    return gelu_backward_native(dy, *ctx.saved_tensors, ctx.tanh), None


torch.library.register_fake("llmcore::gelu", _fake)
torch.library.register_fake("llmcore::gelu_no_grad", _fake)
torch.library.register_fake("llmcore::gelu_backward", _fake_backward)
torch.library.register_autograd("llmcore::gelu", _backward, setup_context=_save)


class GeluFunction(torch.autograd.Function):
    """The gradient outside of graphs: two thirds of the cost per call of the registered layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tanh: bool) -> Tensor:
        _save(ctx, (x, tanh), x)
        return gelu_no_grad_native(x, tanh)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            formula = partial(gelu_reference, approximate="tanh" if ctx.tanh else "none")
            grads = differentiable_gradients(formula, ctx.saved_tensors, dy)
            return grads[0], None
        return _backward(ctx, dy)
