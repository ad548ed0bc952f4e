"""Shapes for tracing and the gradient of the native geglu; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmcore._native import load_libraries

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
    """What register_autograd does, in a third of the time a call; for eager mode alone."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, tanh: bool) -> Tensor:
        _save(
            ctx,
            (
                gate,
                up,
                tanh,
            ),
            gate,
        )
        return geglu_no_grad_native(gate, up, tanh)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        return _backward(ctx, dy)
