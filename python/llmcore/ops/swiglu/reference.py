"""The definition of swiglu in plain PyTorch."""

import torch
from torch import Tensor


def swiglu_reference(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up, in float32 at least, rounded once."""
    wide = torch.promote_types(gate.dtype, torch.float32)
    gate_wide = gate.to(wide)
    return (gate_wide * torch.sigmoid(gate_wide) * up.to(wide)).to(gate.dtype)
