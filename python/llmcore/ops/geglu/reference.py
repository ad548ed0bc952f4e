"""The definition of geglu in plain PyTorch."""

import torch
from torch import Tensor

from llmcore.ops.gelu.reference import gelu_wide


def geglu_reference(gate: Tensor, up: Tensor, *, approximate: str = "none") -> Tensor:
    """gelu(gate) * up, in float32 at least, rounded once."""
    wide = torch.promote_types(gate.dtype, torch.float32)
    return (gelu_wide(gate.to(wide), approximate) * up.to(wide)).to(gate.dtype)
