"""Shapes for tracing and the gradient of the native geglu; its schema is in csrc/torch."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.geglu.reference import geglu_reference
from llmcore.ops.second_order import differentiable_gradients

load_libraries()
geglu_native = torch.ops.llmcore.geglu.default
geglu_no_grad_native = torch.ops.llmcore.geglu_no_grad.default
geglu_backward_native = torch.ops.llmcore.geglu_backward.default


def _fake(gate: Tensor, up: Tensor, tanh: bool) -> Tensor:
    return gate.new_empty(gate.shape)


def _fake_backward(dy: Tensor, gate: Tensor, up: Tensor, tanh: bool) -> tuple[Tensor, Tensor]:
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    gate, up, ctx.tanh = inputs
    ctx.save_for_backward(gate, up)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
    dgate, dup = geglu_backward_native(dy, *ctx.saved_tensors, ctx.tanh)
    return dgate, dup, None


torch.library.register_fake("llmcore::geglu", _fake)
torch.library.register_fake("llmcore::geglu_no_grad", _fake)
torch.library.register_fake("llmcore::geglu_backward", _fake_backward)
torch.library.register_autograd("llmcore::geglu", _backward, setup_context=_save)


class GegluFunction(torch.autograd.Function):
    """The gradient outside of graphs: two thirds of the cost per call of the registered layer."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, tanh: bool) -> Tensor:
        _save(ctx, (gate, up, tanh), gate)
        return geglu_no_grad_native(gate, up, tanh)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        if torch.is_grad_enabled():
            formula = partial(geglu_reference, approximate="tanh" if ctx.tanh else "none")
            grads = differentiable_gradients(formula, ctx.saved_tensors, dy)
            return grads[0], grads[1], None
        return _backward(ctx, dy)
