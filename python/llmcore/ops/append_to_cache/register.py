"""Tracing of the native append_to_cache_; its schema is in csrc/torch. It has no gradient."""

import torch
from torch import Tensor

from llmcore._native import load_libraries

load_libraries()
append_to_cache_native_ = torch.ops.llmcore.append_to_cache_.default


def _fake(
    k: Tensor,
    v: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    key_scales: Tensor,
    value_scales: Tensor,
) -> None:
    return None


torch.library.register_fake("llmcore::append_to_cache_", _fake)
