"""Tracing and the gradient of the native rope_; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.rope.register import rope_native, rope_no_grad_native

load_libraries()
rope_native_ = torch.ops.llmcore.rope_.default


def _fake(
    x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, interleaved: bool, inverse: bool
) -> None:
    return None


torch.library.register_fake("llmcore::rope_", _fake)


class RopeInPlace(torch.autograd.Function):
    """rope_ under autograd: x is marked as changed, and its gradient needs the tables alone."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, interleaved: bool
    ) -> Tensor:
        rope_native_(x, cos, sin, positions, interleaved, False)
        ctx.mark_dirty(x)
        ctx.save_for_backward(cos, sin, positions)
        ctx.interleaved = interleaved
        return x

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        call = rope_native if dy.requires_grad else rope_no_grad_native
        return call(dy, *ctx.saved_tensors, ctx.interleaved, True), None, None, None, None
