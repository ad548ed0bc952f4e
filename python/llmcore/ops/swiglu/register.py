"""Schemas, tracing shapes and gradient of llmcore::swiglu."""

from typing import Any

import torch
from torch import Tensor

from llmcore.ops.swiglu.pytorch import swiglu_backward_torch, swiglu_torch


@torch.library.custom_op("llmcore::swiglu", mutates_args=())
def swiglu_op(gate: Tensor, up: Tensor) -> Tensor:
    return swiglu_torch(gate, up).contiguous()


@torch.library.custom_op("llmcore::swiglu_backward", mutates_args=())
def swiglu_backward_op(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return swiglu_backward_torch(dy, gate, up)


@swiglu_op.register_fake
def _fake(gate: Tensor, up: Tensor) -> Tensor:
    return gate.new_empty(gate.shape)


@swiglu_backward_op.register_fake
def _fake_backward(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
    return swiglu_backward_op(dy, *ctx.saved_tensors)


swiglu_op.register_autograd(_backward, setup_context=_save)
