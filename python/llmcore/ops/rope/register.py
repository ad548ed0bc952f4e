"""Shapes for tracing and the gradient of the native rope; its schema is in csrc/torch.

The gradient is the transposed rotation: the same kernel with the sine negated.
"""

from typing import Any, Final

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.shape_check import shape_error

load_libraries()
rope_native = torch.ops.llmcore.rope.default
rope_no_grad_native = torch.ops.llmcore.rope_no_grad.default

NO_POSITIONS: Final = torch.empty(0, dtype=torch.int64)
"""What stands for `positions=None` in the schemas."""


def _fake(
    x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, interleaved: bool, inverse: bool
) -> Tensor:
    if x.dim() not in (3, 4) or cos.shape[-1] * 2 > x.shape[-1]:
        raise shape_error("rope", "x", "(B, T, H, D) or (N, H, D)", x)
    return x.new_empty(x.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, cos, sin, positions, ctx.interleaved, ctx.inverse = inputs
    ctx.save_for_backward(cos, sin, positions)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    # In autograd's own backward the gradient needs no graph, so this is one kernel call.
    call = rope_native if dy.requires_grad else rope_no_grad_native
    dx = call(dy, *ctx.saved_tensors, ctx.interleaved, not ctx.inverse)
    return dx, None, None, None, None, None


torch.library.register_fake("llmcore::rope", _fake)
torch.library.register_fake("llmcore::rope_no_grad", _fake)
torch.library.register_autograd("llmcore::rope", _backward, setup_context=_save)


class RopeFunction(torch.autograd.Function):
    """The gradient outside of graphs: half the cost per call of the registered op's layer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, interleaved: bool
    ) -> Tensor:
        ctx.save_for_backward(cos, sin, positions)
        ctx.interleaved, ctx.inverse = interleaved, False
        return rope_no_grad_native(x, cos, sin, positions, interleaved, False)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(ctx, dy)[:5]
