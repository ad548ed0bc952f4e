"""Shapes for tracing and the gradient of the native cross_entropy; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.shape_check import shape_error

load_libraries()
cross_entropy_native = torch.ops.llmcore.cross_entropy.default
cross_entropy_no_grad_native = torch.ops.llmcore.cross_entropy_no_grad.default
cross_entropy_backward_native = torch.ops.llmcore.cross_entropy_backward.default
cross_entropy_grad_native_ = torch.ops.llmcore.cross_entropy_grad_.default


class CrossEntropy(torch.autograd.Function):
    """The gradient for calls that are not traced: a third of the time that the registered one
    takes to pass through the dispatcher."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, *options: Any) -> Tensor:
        losses: Tensor
        losses, lse = cross_entropy_no_grad_native(logits, labels, *options)
        ctx.save_for_backward(logits, labels, lse)
        ctx.options = options
        return losses

    @staticmethod
    def backward(ctx: Any, dlosses: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(ctx, dlosses, None)


def _fake(logits: Tensor, labels: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    if logits.dim() != 2 or labels.dim() != 1:
        raise shape_error("cross_entropy", "logits", "(N, V)", logits)
    losses = logits.new_empty(labels.shape, dtype=torch.float32)
    return losses, torch.empty_like(losses)


def _fake_backward(
    dlosses: Tensor, logits: Tensor, labels: Tensor, lse: Tensor, *options: Any
) -> Tensor:
    return logits.new_empty(logits.shape)


def _fake_grad_(
    logits: Tensor, labels: Tensor, lse: Tensor, dlosses: Tensor, *options: Any
) -> None:
    return None


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    logits, labels, *ctx.options = inputs
    ctx.save_for_backward(logits, labels, output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, dlosses: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    logits, labels, lse = ctx.saved_tensors
    dlogits = cross_entropy_backward_native(dlosses, logits, labels, lse, *ctx.options)
    return dlogits, None, None, None, None, None


torch.library.register_fake("llmcore::cross_entropy", _fake)
torch.library.register_fake("llmcore::cross_entropy_no_grad", _fake)
torch.library.register_fake("llmcore::cross_entropy_backward", _fake_backward)
torch.library.register_fake("llmcore::cross_entropy_grad_", _fake_grad_)
torch.library.register_autograd("llmcore::cross_entropy", _backward, setup_context=_save)
