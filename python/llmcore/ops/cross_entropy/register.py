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


def _fake_no_grad(logits: Tensor, labels: Tensor, *options: float) -> Tensor:
    if logits.dim() != 2 or labels.dim() != 1:
        raise shape_error("cross_entropy", "logits", "(N, V)", logits)
    return logits.new_empty(labels.shape, dtype=torch.float32)


def _fake(logits: Tensor, labels: Tensor, *options: float) -> tuple[Tensor, Tensor]:
    losses = _fake_no_grad(logits, labels)
    return losses, torch.empty_like(losses)


def _fake_backward(
    dlosses: Tensor, logits: Tensor, labels: Tensor, lse: Tensor, *options: float
) -> Tensor:
    return logits.new_empty(logits.shape)


def _fake_grad_(
    logits: Tensor, labels: Tensor, lse: Tensor, dlosses: Tensor, *options: float
) -> None:
    return None


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    logits, labels, *ctx.options = inputs
    ctx.save_for_backward(logits, labels, output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, dlosses: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    logits, labels, lse = ctx.saved_tensors
    dlogits = cross_entropy_backward_native(dlosses, logits, labels, lse, *ctx.options)
    return dlogits, None, None, None, None, None


torch.library.register_fake("llmcore::cross_entropy", _fake)
torch.library.register_fake("llmcore::cross_entropy_no_grad", _fake_no_grad)
torch.library.register_fake("llmcore::cross_entropy_backward", _fake_backward)
torch.library.register_fake("llmcore::cross_entropy_grad_", _fake_grad_)
torch.library.register_autograd("llmcore::cross_entropy", _backward, setup_context=_save)
