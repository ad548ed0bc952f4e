"""The definition of global_norm in plain PyTorch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def global_norm_reference(tensors: Sequence[Tensor]) -> Tensor:
    """Root of the sum of all squares, summed in float64; float32 unless a tensor is float64."""
    dtype = torch.float32
    total = torch.zeros((), dtype=torch.float64, device=tensors[0].device if tensors else None)
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
        total = total + tensor.double().square().sum()
    return total.sqrt().to(dtype)
