"""The definition of attention in plain PyTorch; csrc/ops/attention.h spells the same formulas."""

import torch
from torch import Tensor

from llmcore.ops.attention.dropout import dropout_factors
from llmcore.ops.attention.spec import CAUSAL, AttentionSpec


def attention_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    spec: AttentionSpec = CAUSAL,
    *,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    segment_ids: Tensor | None = None,
    prefix_lens: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    sinks: Tensor | None = None,
    dropout_seed: int = 0,
    first_sequence: int = 0,
) -> Tensor:
    """softmax(shaped scores) v over the kept pairs; a row that keeps nothing gives zeros.

    `first_sequence` is the number of the batch's first sequence in the dropout stream.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    group = q.shape[2] // k.shape[2]
    keys = k.to(wide).repeat_interleave(group, dim=2)  # head h reads key/value head h // group
    values = v.to(wide).repeat_interleave(group, dim=2)
    scale = q.shape[-1] ** -0.5 if spec.scale is None else spec.scale
    scores = torch.einsum("bthd,bshd->bhts", q.to(wide), keys) * scale
    if spec.softcap > 0:
        scores = spec.softcap * torch.tanh(scores / spec.softcap)
    if bias is not None:
        scores = scores + bias.to(wide)
    if alibi_slopes is not None:
        slopes = alibi_slopes.to(wide)[:, None, None]
        scores = scores - slopes * distances(q.shape[1], k.shape[1], q.device).to(wide)
    keep = kept_pairs(
        q, k, spec, mask=mask, segment_ids=segment_ids, prefix_lens=prefix_lens
    )  # (B or 1, 1, T, S)
    scores = scores.masked_fill(~keep, -torch.inf)
    if sinks is not None:
        sink = sinks.to(wide)[None, :, None, None].expand(scores.shape[0], -1, scores.shape[2], 1)
        scores = torch.cat((scores, sink), dim=-1)
    # A row of -inf alone would be NaN, forward and backward: such a row gets a 0 to stand on.
    empty = (scores == -torch.inf).all(dim=-1, keepdim=True)
    probs = scores.masked_fill(empty, 0.0).softmax(dim=-1).masked_fill(empty, 0.0)
    probs = probs[..., : k.shape[1]]
    if spec.dropout > 0:
        shape = (probs.shape[0], probs.shape[1], probs.shape[2], probs.shape[3])
        factors = dropout_factors(shape, spec.dropout, dropout_seed, first_sequence=first_sequence)
        probs = probs * factors.to(probs)
    return torch.einsum("bhts,bshd->bthd", probs, values).to(q.dtype)


def kept_pairs(
    q: Tensor,
    k: Tensor,
    spec: AttentionSpec,
    *,
    mask: Tensor | None = None,
    segment_ids: Tensor | None = None,
    prefix_lens: Tensor | None = None,
) -> Tensor:
    """Mask (B or 1, 1, T, S), True = keep: every rule of `spec` and of the tensors at once."""
    num_queries, num_keys = q.shape[1], k.shape[1]
    positions = torch.arange(num_queries, device=q.device)[:, None] + num_keys - num_queries
    keys = torch.arange(num_keys, device=q.device)[None, :]
    keep = torch.ones(1, 1, num_queries, num_keys, dtype=torch.bool, device=q.device)
    if spec.causal:
        causal = (keys <= positions)[None, None]
        if prefix_lens is not None:
            causal = causal | (keys < prefix_lens.to(q.device)[:, None, None])[:, None]
        keep = keep & causal
    if spec.window > 0:
        keep = keep & ((positions - keys).abs() < spec.window)
    if spec.sparse != "full":
        keep = keep & _sparse_pairs(positions, keys, spec)
    if mask is not None:
        keep = keep & mask.unsqueeze(1)
    if segment_ids is not None:
        queries = segment_ids[:, num_keys - num_queries :]
        keep = keep & (queries[:, None, :, None] == segment_ids[:, None, None, :])
    return keep


def _sparse_pairs(positions: Tensor, keys: Tensor, spec: AttentionSpec) -> Tensor:
    stride = spec.stride
    strided = (positions - keys) % stride == 0
    same_block = positions.div(stride, rounding_mode="floor") == keys // stride
    summary = keys % stride >= stride - spec.summary
    match spec.sparse:
        case "strided":
            return strided
        case "local_or_strided":
            return strided | ((positions - keys).abs() < stride)
        case "fixed_local":
            return same_block
        case "fixed_summary":
            return summary.expand(positions.shape[0], -1)
        case _:
            return same_block | summary


def distances(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """Return |i - s| (T, S) of every query position and key."""
    positions = torch.arange(num_queries, device=device)[:, None] + num_keys - num_queries
    return (positions - torch.arange(num_keys, device=device)[None, :]).abs()
