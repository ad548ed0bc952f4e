"""Tracing of the native global_norm, which has no gradient; its schema is in csrc/torch."""

import torch
from torch import Tensor

from llmcore._native import load_libraries

load_libraries()
global_norm_native = torch.ops.llmcore.global_norm.default


def _fake(tensors: list[Tensor]) -> Tensor:
    return tensors[0].new_empty((), dtype=torch.float32) if tensors else torch.empty(())


torch.library.register_fake("llmcore::global_norm", _fake)
