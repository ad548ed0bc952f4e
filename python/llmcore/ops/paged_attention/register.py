"""Shapes for tracing of the native paged_attention; its schema is in csrc/torch."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries

load_libraries()
paged_attention_native = torch.ops.llmcore.paged_attention.default


def _fake(q: Tensor, key_cache: Tensor, value_cache: Tensor, *rest: Any) -> Tensor:
    return q.new_empty((q.shape[0], q.shape[1], value_cache.shape[-1]))


torch.library.register_fake("llmcore::paged_attention", _fake)
