"""Shapes for tracing and the gradient of the native gelu; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmcore._native import load_libraries

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
    """What register_autograd does, in a third of the time a call; for eager mode alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tanh: bool) -> Tensor:
        _save(
            ctx,
            (
                x,
                tanh,
            ),
            x,
        )
        return gelu_no_grad_native(x, tanh)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        return _backward(ctx, dy)
