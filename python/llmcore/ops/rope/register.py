"""Schema, tracing shapes and gradient of llmcore::rope; the gradient is the inverse rotation."""

from typing import Any

import torch
from torch import Tensor

from llmcore.ops.rope.reference import rope_reference


@torch.library.custom_op("llmcore::rope", mutates_args=())
def rope_op(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return rope_reference(x, cos, sin, interleaved=interleaved).contiguous()


@rope_op.register_fake
def _fake(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return x.new_empty(x.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, cos, sin, ctx.interleaved = inputs
    ctx.save_for_backward(cos, sin)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
    cos, sin = ctx.saved_tensors
    return rope_op(dy, cos, -sin, ctx.interleaved), None, None, None


rope_op.register_autograd(_backward, setup_context=_save)
