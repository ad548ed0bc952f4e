"""Schemas, tracing shapes and gradient of llmcore::cross_entropy."""

from typing import Any

import torch
from torch import Tensor

from llmcore.ops.cross_entropy.pytorch import cross_entropy_backward_torch, cross_entropy_torch


@torch.library.custom_op("llmcore::cross_entropy", mutates_args=())
def cross_entropy_op(
    logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float
) -> Tensor:
    return cross_entropy_torch(
        logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing
    ).contiguous()


@torch.library.custom_op("llmcore::cross_entropy_backward", mutates_args=())
def cross_entropy_backward_op(
    dlosses: Tensor, logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float
) -> Tensor:
    return cross_entropy_backward_torch(
        dlosses, logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing
    )


@cross_entropy_op.register_fake
def _fake(logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.new_empty(labels.shape, dtype=wide)


@cross_entropy_backward_op.register_fake
def _fake_backward(
    dlosses: Tensor, logits: Tensor, labels: Tensor, ignore_index: int, label_smoothing: float
) -> Tensor:
    return logits.new_empty(logits.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    logits, labels, ctx.ignore_index, ctx.label_smoothing = inputs
    ctx.save_for_backward(logits, labels)


def _backward(ctx: Any, dlosses: Tensor) -> tuple[Tensor, None, None, None]:
    logits, labels = ctx.saved_tensors
    dlogits = cross_entropy_backward_op(
        dlosses, logits, labels, ctx.ignore_index, ctx.label_smoothing
    )
    return dlogits, None, None, None


cross_entropy_op.register_autograd(_backward, setup_context=_save)
