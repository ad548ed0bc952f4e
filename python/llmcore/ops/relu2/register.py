"""Shapes for tracing and the gradient of the native relu2; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.relu2.reference import relu2_reference
from llmcore.ops.second_order import differentiable_gradients

load_libraries()
relu2_native = torch.ops.llmcore.relu2.default
relu2_no_grad_native = torch.ops.llmcore.relu2_no_grad.default
relu2_backward_native = torch.ops.llmcore.relu2_backward.default


def _fake(x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _fake_backward(dy: Tensor, x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> Tensor:
    return relu2_backward_native(dy, *ctx.saved_tensors)


torch.library.register_fake("llmcore::relu2", _fake)
torch.library.register_fake("llmcore::relu2_no_grad", _fake)
torch.library.register_fake("llmcore::relu2_backward", _fake_backward)
torch.library.register_autograd("llmcore::relu2", _backward, setup_context=_save)


class Relu2Function(torch.autograd.Function):
    """The gradient outside of graphs: two thirds of the cost per call of the registered layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        _save(ctx, (x,), x)
        return relu2_no_grad_native(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            (dx,) = differentiable_gradients(relu2_reference, ctx.saved_tensors, dy)
            return dx
        return _backward(ctx, dy)
