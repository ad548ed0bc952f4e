"""How rows of keys and values become int8; csrc/ops/paged_attention.h says the same."""

import torch
from torch import Tensor


def quantize(rows: Tensor) -> tuple[Tensor, Tensor]:
    """int8 rows and their scales: the largest magnitude of a row becomes 127."""
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    scales = wide.abs().amax(dim=-1) / 127 if rows.shape[-1] else wide.sum(dim=-1)
    scales = torch.where(scales.isfinite(), scales, 0.0)
    has_scale = scales > 0
    units = wide / torch.where(has_scale, scales, 1.0)[..., None]
    return units.round().mul(has_scale[..., None]).nan_to_num(0, 0, 0).to(torch.int8), scales
