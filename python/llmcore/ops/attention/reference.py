"""The definition of attention in plain PyTorch."""

import torch
from torch import Tensor


def attention_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    mask: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T * scale) v over the kept pairs; a row that keeps nothing gives zeros."""
    wide = torch.promote_types(q.dtype, torch.float32)
    group = q.shape[2] // k.shape[2]
    keys = k.to(wide).repeat_interleave(group, dim=2)  # head h reads key/value head h // group
    values = v.to(wide).repeat_interleave(group, dim=2)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.einsum("bthd,bshd->bhts", q.to(wide), keys) * scale
    keep = kept_pairs(q, k, causal=causal, mask=mask)
    if keep is None:
        probs = scores.softmax(dim=-1)
    else:
        # exp(-inf) rows would be NaN: fill with the lowest number, then zero what is not kept.
        scores = scores.masked_fill(~keep, torch.finfo(wide).min)
        probs = scores.softmax(dim=-1).masked_fill(~keep, 0.0)
    return torch.einsum("bhts,bshd->bthd", probs, values).to(q.dtype)


def kept_pairs(q: Tensor, k: Tensor, *, causal: bool, mask: Tensor | None) -> Tensor | None:
    """Mask (B, 1, T, S) or (T, S), True = keep; None if every pair is kept."""
    num_queries, num_keys = q.shape[1], k.shape[1]
    keep = None if mask is None else mask.unsqueeze(1)
    if causal and num_queries > 1:
        # The last query sees the last key: aligned bottom-right.
        ones = torch.ones(num_queries, num_keys, dtype=torch.bool, device=q.device)
        triangle = ones.tril(num_keys - num_queries)
        keep = triangle if keep is None else keep & triangle
    return keep
