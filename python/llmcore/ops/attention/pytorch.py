"""attention composed of PyTorch's scaled_dot_product_attention where that knows the rules."""

import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.ops.attention.reference import attention_reference, distances, kept_pairs
from llmcore.ops.attention.spec import AttentionSpec


def attention_torch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    spec: AttentionSpec,
    *,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    segment_ids: Tensor | None = None,
    prefix_lens: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    sinks: Tensor | None = None,
    dropout_seed: int = 0,
) -> Tensor:
    """The fused kernel under a mask; softcap, sinks and dropout go to the reference."""
    if spec.softcap > 0 or spec.dropout > 0 or sinks is not None:
        return attention_reference(
            q,
            k,
            v,
            spec,
            mask=mask,
            bias=bias,
            segment_ids=segment_ids,
            prefix_lens=prefix_lens,
            alibi_slopes=alibi_slopes,
            sinks=sinks,
            dropout_seed=dropout_seed,
        )
    no_tensor = all(t is None for t in (mask, bias, segment_ids, prefix_lens, alibi_slopes))
    plain = no_tensor and spec.window == 0 and spec.sparse == "full"
    square = plain and spec.causal and q.shape[1] == k.shape[1]
    attn_mask = None
    if not (square or (plain and not spec.causal)):
        attn_mask = kept_pairs(
            q, k, spec, mask=mask, segment_ids=segment_ids, prefix_lens=prefix_lens
        )
        if bias is not None or alibi_slopes is not None:
            attn_mask = _additive(q, k, attn_mask, bias, alibi_slopes)
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=attn_mask,
        is_causal=square,
        scale=spec.scale,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    return out.transpose(1, 2)


def _additive(
    q: Tensor, k: Tensor, keep: Tensor, bias: Tensor | None, slopes: Tensor | None
) -> Tensor:
    """Bias and ALiBi as one tensor (B or 1, H or 1, T, S) that is -infinity where not kept."""
    added = torch.zeros((), dtype=q.dtype, device=q.device) if bias is None else bias
    if slopes is not None:
        away = distances(q.shape[1], k.shape[1], q.device)
        added = (added - slopes[:, None, None] * away).to(q.dtype)
    return torch.where(keep, added, -torch.inf)
