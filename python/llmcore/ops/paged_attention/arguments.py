"""Checks that the two ops on a paged cache share, and the arguments of the registered op."""

from typing import Final

import torch
from torch import Tensor

from llmcore.ops.attention.spec import CAUSAL, SPARSE_KINDS, AttentionSpec
from llmcore.ops.shape_check import dtype_error, shape_error

LARGEST_PAGE: Final = 256


def check_cache(
    op: str,
    tokens: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    key_scales: Tensor | None,
    value_scales: Tensor | None,
) -> None:
    """Shapes and dtypes of the cache; `tokens` are the queries or keys that meet it."""
    if key_cache.dim() != 4 or not 1 <= key_cache.shape[1] <= LARGEST_PAGE:
        expected = f"(P, page, Hkv, D) with page from 1 to {LARGEST_PAGE}"
        raise shape_error(op, "key_cache", expected, key_cache)
    if value_cache.dim() != 4 or value_cache.shape[:3] != key_cache.shape[:3]:
        expected = ", ".join(map(str, key_cache.shape[:3]))
        raise shape_error(op, "value_cache", f"({expected}, Dv)", value_cache)
    under_float = tokens.dtype == torch.float32 and key_cache.dtype == torch.bfloat16
    if key_cache.dtype not in (tokens.dtype, torch.int8) and not under_float:
        expected = f"int8, {tokens.dtype}, or bfloat16 under float32"
        raise dtype_error(op, "key_cache", expected, key_cache)
    if value_cache.dtype != key_cache.dtype:
        expected = f"{key_cache.dtype} as key_cache is"
        raise dtype_error(op, "value_cache", expected, value_cache)
    for name, scales in (("key_scales", key_scales), ("value_scales", value_scales)):
        _check_scales(op, name, scales, key_cache)


def check_tables(block_tables: Tensor, seq_lens: Tensor, cu_seqlens_q: Tensor) -> None:
    op = "paged_attention"
    if seq_lens.dim() != 1:
        raise shape_error(op, "seq_lens", "(B,)", seq_lens)
    batch = seq_lens.shape[0]
    if block_tables.dim() != 2 or block_tables.shape[0] != batch:
        raise shape_error(op, "block_tables", f"({batch}, pages)", block_tables)
    if cu_seqlens_q.shape != (batch + 1,):
        raise shape_error(op, "cu_seqlens_q", f"(B + 1,) = ({batch + 1},)", cu_seqlens_q)
    named = (("block_tables", block_tables), ("seq_lens", seq_lens), ("cu_seqlens_q", cu_seqlens_q))
    for name, tensor in named:
        if tensor.dtype not in (torch.int64, torch.int32):
            raise dtype_error(op, name, "int64 or int32", tensor)


def raw_arguments(
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
) -> tuple[Tensor | float | int | bool, ...]:
    """Arguments of `llmcore::paged_attention`: an absent tensor is an empty one."""
    absent = q.new_empty(0)
    optional = (mask, prefix_lens, alibi_slopes, sinks, key_scales, value_scales)
    return (
        q,
        key_cache,
        value_cache,
        block_tables,
        seq_lens,
        cu_seqlens_q,
        *[absent if tensor is None else tensor for tensor in optional],
        q.shape[-1] ** -0.5 if spec.scale is None else spec.scale,
        spec.softcap,
        spec.causal,
        spec.window,
        SPARSE_KINDS.index(spec.sparse),
        spec.stride,
        spec.summary,
    )


def _check_scales(op: str, name: str, scales: Tensor | None, key_cache: Tensor) -> None:
    if key_cache.dtype != torch.int8:
        if scales is not None:
            raise dtype_error(op, name, "absent unless the cache is int8", scales)
        return
    if scales is None:
        raise dtype_error(op, "key_cache", f"of another dtype, or come with {name}", key_cache)
    if scales.shape != key_cache.shape[:3]:
        raise shape_error(op, name, f"(P, page, Hkv) = {tuple(key_cache.shape[:3])}", scales)
    if scales.dtype not in (torch.float32, torch.float64):
        raise dtype_error(op, name, "float32", scales)
