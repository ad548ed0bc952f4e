"""swiglu through PyTorch's fused SiLU kernel, and its gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor


def swiglu_torch(gate: Tensor, up: Tensor) -> Tensor:
    if gate.dtype in (torch.float32, torch.float64):
        return F.silu(gate) * up
    return (F.silu(gate.float()) * up).to(gate.dtype)


def swiglu_backward_torch(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(gate.dtype, torch.float32)
    g, dy_wide = gate.to(wide), dy.to(wide)
    s = torch.sigmoid(g)
    dgate = dy_wide * up.to(wide) * s * (1 + g * (1 - s))
    return dgate.to(gate.dtype).contiguous(), (dy_wide * g * s).to(up.dtype).contiguous()
