"""layer_norm from PyTorch's kernels, for devices without a native one."""

import torch.nn.functional as F
from torch import Tensor


def layer_norm_torch(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, eps: float = 1e-5
) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias, eps)
