"""Shapes for tracing and the gradient of the native swiglu; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.second_order import differentiable_gradients
from llmcore.ops.swiglu.reference import swiglu_reference

load_libraries()
swiglu_native = torch.ops.llmcore.swiglu.default
swiglu_no_grad_native = torch.ops.llmcore.swiglu_no_grad.default
swiglu_backward_native = torch.ops.llmcore.swiglu_backward.default


def _fake(gate: Tensor, up: Tensor) -> Tensor:
    return gate.new_empty(gate.shape)


def _fake_backward(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
    dgate, dup = swiglu_backward_native(dy, *ctx.saved_tensors)
    return dgate, dup


torch.library.register_fake("llmcore::swiglu", _fake)
torch.library.register_fake("llmcore::swiglu_no_grad", _fake)
torch.library.register_fake("llmcore::swiglu_backward", _fake_backward)
torch.library.register_autograd("llmcore::swiglu", _backward, setup_context=_save)


class SwigluFunction(torch.autograd.Function):
    """The gradient outside of graphs: two thirds of the cost per call of the registered layer."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        _save(ctx, (gate, up), gate)
        return swiglu_no_grad_native(gate, up)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            dgate, dup = differentiable_gradients(swiglu_reference, ctx.saved_tensors, dy)
            return dgate, dup
        return _backward(ctx, dy)
