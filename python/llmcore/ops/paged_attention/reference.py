"""The definition of paged_attention: gather the pages of a sequence, then attend to them."""

from collections.abc import Callable

import torch
from torch import Tensor

from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.attention.spec import CAUSAL, AttentionSpec


def paged_attention_reference(
    q: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    *,
    block_tables: Tensor,
    seq_lens: Tensor,
    cu_seqlens_q: Tensor,
    spec: AttentionSpec = CAUSAL,
    mask: Tensor | None = None,
    prefix_lens: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    sinks: Tensor | None = None,
    key_scales: Tensor | None = None,
    value_scales: Tensor | None = None,
    one: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Each sequence by `one` (default: the reference of attention), then joined."""
    ends, lens = cu_seqlens_q.tolist(), seq_lens.tolist()
    attend = attention_reference if one is None else one
    outs = [torch.zeros_like(q[:0, :, :1]).expand(0, -1, value_cache.shape[-1])]
    for b, length in enumerate(lens):
        queries = slice(*ends[b : b + 2])
        keys = gather(key_cache, block_tables[b], length, key_scales, q.dtype)
        values = gather(value_cache, block_tables[b], length, value_scales, q.dtype)
        out = attend(
            q[None, queries].to(keys.dtype),
            keys[None],
            values[None],
            spec,
            mask=None if mask is None else _all_keys(mask[queries], length)[None],
            prefix_lens=None if prefix_lens is None else prefix_lens[b : b + 1],
            alibi_slopes=alibi_slopes,
            sinks=sinks,
        )
        outs.append(out[0].to(q.dtype))
    return torch.cat(outs)


def gather(
    cache: Tensor, table: Tensor, length: int, scales: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """The first `length` tokens of one sequence (S, Hkv, D), int8 multiplied out."""
    page = cache.shape[1]
    tokens = torch.arange(length, device=cache.device)
    slots = table.long()[tokens // page] * page + tokens % page
    rows = cache.flatten(0, 1)[slots]
    if scales is None:
        return rows.to(torch.promote_types(dtype, rows.dtype))
    wide = torch.promote_types(dtype, torch.float32)
    return rows.to(wide) * scales.flatten(0, 1)[slots].to(wide)[..., None]


def _all_keys(mask: Tensor, length: int) -> Tensor:
    """The mask of the last W keys as one of all keys (T, S)."""
    width = mask.shape[1]
    if width >= length:
        return mask[:, width - length :]
    return torch.cat((mask.new_ones(mask.shape[0], length - width), mask), dim=1)
