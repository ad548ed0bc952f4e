"""geglu through PyTorch's GELU kernel."""

import torch
import torch.nn.functional as F
from torch import Tensor


def geglu_torch(gate: Tensor, up: Tensor, *, approximate: str) -> Tensor:
    wide = torch.promote_types(gate.dtype, torch.float32)
    return (F.gelu(gate.to(wide), approximate=approximate) * up.to(wide)).to(gate.dtype)
