"""global_norm through PyTorch's foreach kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor


def global_norm_torch(tensors: Sequence[Tensor]) -> Tensor:
    wide = torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32
    norms = torch._foreach_norm(list(tensors), 2, dtype=wide)
    return torch.linalg.vector_norm(torch.stack(norms))
