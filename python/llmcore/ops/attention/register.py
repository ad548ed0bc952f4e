"""Schemas, tracing shapes and gradient of llmcore::attention."""

from typing import Any

import torch
from torch import Tensor

from llmcore.ops.attention.pytorch import attention_backward_torch, attention_torch


@torch.library.custom_op("llmcore::attention", mutates_args=())
def attention_op(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float | None
) -> Tensor:
    return attention_torch(q, k, v, causal=causal, mask=mask, scale=scale).contiguous()


@torch.library.custom_op("llmcore::attention_backward", mutates_args=())
def attention_backward_op(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return attention_backward_torch(dout, q, k, v, causal=causal, mask=mask, scale=scale)


@attention_op.register_fake
def _fake(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float | None
) -> Tensor:
    return q.new_empty(q.shape)


@attention_backward_op.register_fake
def _fake_backward(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, k, v, mask, ctx.causal, ctx.scale = inputs
    ctx.save_for_backward(q, k, v, mask)


def _backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
    dq, dk, dv = attention_backward_op(dout, *ctx.saved_tensors, ctx.causal, ctx.scale)
    return dq, dk, dv, None, None, None


attention_op.register_autograd(_backward, setup_context=_save)
