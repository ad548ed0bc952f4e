"""Shapes for tracing and the gradient of the native attention; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries

load_libraries()
attention_native = torch.ops.llmcore.attention.default
attention_no_grad_native = torch.ops.llmcore.attention_no_grad.default
attention_lse_no_grad_native = torch.ops.llmcore.attention_lse_no_grad.default
attention_backward_native = torch.ops.llmcore.attention_backward.default

Q, K, V, BIAS, SINKS, CU_SEQLENS_Q = 0, 1, 2, 4, 8, 9
NUM_TENSORS, NUM_ARGUMENTS = 11, 20


def _out_shape(q: Tensor, v: Tensor) -> Any:
    return [*q.shape[:-1], v.shape[-1]]  # symbolic while tracing


def _fake(*args: Any) -> tuple[Tensor, Tensor]:
    q, v = args[Q], args[V]
    packed = q.dim() == 3
    lse_shape = (q.shape[1], q.shape[0]) if packed else (q.shape[0], q.shape[2], q.shape[1])
    return q.new_empty(_out_shape(q, v)), q.new_empty(lse_shape, dtype=torch.float32)


def _fake_no_grad(*args: Any) -> Tensor:
    return args[Q].new_empty(_out_shape(args[Q], args[V]))


def _fake_backward(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    bias, sinks, (wants_bias, wants_sinks) = rest[BIAS - 3], rest[SINKS - 3], rest[-2:]
    dbias = bias.new_empty(bias.shape if wants_bias else 0)
    dsinks = sinks.new_empty(sinks.shape if wants_sinks else 0)
    grads = (tensor.new_empty(tensor.shape) for tensor in (q, k, v))
    return (*grads, dbias, dsinks)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:NUM_TENSORS], *output)
    ctx.numbers = inputs[NUM_TENSORS:]
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, dout: Tensor, dlse: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, *others, out, lse = ctx.saved_tensors
    wants_bias, wants_sinks = ctx.needs_input_grad[BIAS], ctx.needs_input_grad[SINKS]
    found = attention_backward_native(
        dout, q, k, v, out, lse, *others, *ctx.numbers, wants_bias, wants_sinks
    )
    grads: list[Tensor | None] = [None] * NUM_ARGUMENTS
    grads[Q], grads[K], grads[V] = found[:3]
    grads[BIAS] = found[3] if wants_bias else None
    grads[SINKS] = found[4] if wants_sinks else None
    return tuple(grads)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, Tensor]:
        output: tuple[Tensor, Tensor] = attention_lse_no_grad_native(*args)
        _save(ctx, args, output)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:
        return _backward(ctx, *grads)


def attention_with_gradient(*args: Any) -> Tensor:
    """The native attention where a gradient is wanted.

    The autograd layer of a registered op costs 130 us a call with 20 arguments, that of
    `autograd.Function` 20; only the registered op can be compiled.
    """
    if torch.compiler.is_compiling():
        out: Tensor = attention_native(*args)[0]
    else:
        out = _Attention.apply(*args)[0]
    return out


torch.library.register_fake("llmcore::attention", _fake)
torch.library.register_fake("llmcore::attention_lse_no_grad", _fake)
torch.library.register_fake("llmcore::attention_no_grad", _fake_no_grad)
torch.library.register_fake("llmcore::attention_backward", _fake_backward)
torch.library.register_autograd("llmcore::attention", _backward, setup_context=_save)
