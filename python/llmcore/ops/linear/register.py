"""Shapes for tracing of the native linear; its schema is in csrc/torch. There is no gradient."""

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.shape_check import shape_error

load_libraries()
linear_native = torch.ops.llmcore.linear.default


def _fake(
    x: Tensor, data: Tensor, scales: Tensor, bias: Tensor, out_size: int, group_size: int
) -> Tensor:
    if x.dim() < 1:
        raise shape_error("linear", "x", "(..., I)", x)
    return x.new_empty((*x.shape[:-1], out_size))


torch.library.register_fake("llmcore::linear", _fake)
