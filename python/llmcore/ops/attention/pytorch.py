"""attention through PyTorch's fused scaled_dot_product_attention, and its gradient written out."""

import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.ops.attention.reference import kept_pairs


def attention_torch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool,
    mask: Tensor | None,
    scale: float | None,
) -> Tensor:
    square = causal and mask is None and q.shape[1] == k.shape[1]
    keep = None if square else kept_pairs(q, k, causal=causal, mask=mask)
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=keep,
        is_causal=square,
        scale=scale,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    return out.transpose(1, 2)


def attention_backward_torch(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool,
    mask: Tensor | None,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk, dv from recomputed probabilities: dS = P * (dP - rowsum(P * dP))."""
    wide = torch.promote_types(q.dtype, torch.float32)
    batch, num_keys, num_kv_heads, width = k.shape
    group = q.shape[2] // num_kv_heads
    scale = width**-0.5 if scale is None else scale
    grouped = (batch, q.shape[1], num_kv_heads, group, width)
    query, grad = q.to(wide).reshape(grouped), dout.to(wide).reshape(grouped)
    keys, values = k.to(wide), v.to(wide)
    scores = torch.einsum("btkgd,bskd->bkgts", query, keys) * scale
    keep = kept_pairs(q, k, causal=causal, mask=mask)
    if keep is not None:
        keep = keep if keep.dim() == 2 else keep.unsqueeze(1)  # (T, S) or (B, 1, 1, T, S)
        scores = scores.masked_fill(~keep, torch.finfo(wide).min)
    probs = scores.softmax(dim=-1)
    if keep is not None:
        probs = probs.masked_fill(~keep, 0.0)
    dprobs = torch.einsum("btkgd,bskd->bkgts", grad, values)
    dscores = probs * (dprobs - (probs * dprobs).sum(dim=-1, keepdim=True)) * scale
    dq = torch.einsum("bkgts,bskd->btkgd", dscores, keys).reshape(q.shape)
    dk = torch.einsum("bkgts,btkgd->bskd", dscores, query)
    dv = torch.einsum("bkgts,btkgd->bskd", probs, grad)
    return (
        dq.to(q.dtype).contiguous(),
        dk.to(k.dtype).contiguous(),
        dv.to(v.dtype).contiguous(),
    )
