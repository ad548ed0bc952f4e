"""Checks that attention and attention_packed share, and the arguments of the registered op."""

from typing import Final

import torch
from torch import Tensor

from llmcore.ops.attention.spec import SPARSE_KINDS, AttentionSpec
from llmcore.ops.shape_check import dtype_error, shape_error

NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)
Raw = tuple[Tensor | float | int | bool, ...]


def check_heads(op: str, q: Tensor, k: Tensor, v: Tensor) -> None:
    """q (B, T, H, D), k (B, S, Hkv, D), v (B, S, Hkv, Dv), or without B; one dtype."""
    rank = q.dim()
    batch = tuple(q.shape[:1]) if rank == 4 else ()
    heads, width = q.shape[-2:]
    named = ", ".join([*map(str, batch), "S"])
    if k.dim() != rank or tuple(k.shape[: rank - 3]) != batch or k.shape[-1] != width:
        raise shape_error(op, "k", f"({named}, a divisor of {heads}, {width})", k)
    if k.shape[-2] == 0 or heads % k.shape[-2]:
        raise shape_error(op, "k", f"({named}, a divisor of {heads}, {width})", k)
    if v.dim() != rank or v.shape[:-1] != k.shape[:-1]:
        expected = ", ".join(map(str, k.shape[:-1]))
        raise shape_error(op, "v", f"({expected}, Dv)", v)
    for name, tensor in (("k", k), ("v", v)):
        if tensor.dtype != q.dtype:
            raise dtype_error(op, name, f"{q.dtype} as q is", tensor)


def check_pairs(
    op: str, q: Tensor, k: Tensor, mask: Tensor | None, bias: Tensor | None, ids: Tensor | None
) -> None:
    """The tensors that have an axis of keys."""
    batch, num_queries, heads = q.shape[:3]
    num_keys = k.shape[1]
    if mask is not None:
        if mask.dim() != 3 or not _broadcasts(mask, (batch, -num_queries, -num_keys)):
            raise shape_error(op, "mask", f"({batch} or 1, {num_queries}, {num_keys})", mask)
        if mask.dtype != torch.bool:
            raise dtype_error(op, "mask", "bool", mask)
    if bias is not None:
        if bias.dim() != 4 or not _broadcasts(bias, (batch, heads, num_queries, num_keys)):
            expected = f"({batch} or 1, {heads} or 1, {num_queries} or 1, {num_keys} or 1)"
            raise shape_error(op, "bias", expected, bias)
        if bias.dtype != q.dtype:
            raise dtype_error(op, "bias", f"{q.dtype} as q is", bias)
    if ids is not None:
        if ids.shape != (batch, num_keys):
            raise shape_error(op, "segment_ids", f"({batch}, {num_keys})", ids)
        if num_queries > num_keys:
            expected = f"({batch}, S) with S at least T = {num_queries}"
            raise shape_error(op, "segment_ids", expected, ids)
        _check_integers(op, "segment_ids", ids)


def check_vectors(
    op: str,
    q: Tensor,
    batch: int,
    prefix_lens: Tensor | None,
    slopes: Tensor | None,
    sinks: Tensor | None,
) -> None:
    """The tensors with one number per sequence or per head."""
    heads = q.shape[-2]
    if prefix_lens is not None:
        if prefix_lens.shape != (batch,):
            raise shape_error(op, "prefix_lens", f"({batch},)", prefix_lens)
        _check_integers(op, "prefix_lens", prefix_lens)
    if slopes is not None:
        if slopes.shape != (heads,):
            raise shape_error(op, "alibi_slopes", f"({heads},)", slopes)
        if slopes.dtype not in (torch.float32, torch.promote_types(q.dtype, torch.float32)):
            raise dtype_error(op, "alibi_slopes", "float32", slopes)
    if sinks is not None:
        if sinks.shape != (heads,):
            raise shape_error(op, "sinks", f"({heads},)", sinks)
        if sinks.dtype not in (q.dtype, torch.float32):
            raise dtype_error(op, "sinks", f"float32 or {q.dtype} as q is", sinks)


def check_native_dtype(op: str, q: Tensor) -> None:
    if q.dtype not in NATIVE_DTYPES:
        raise dtype_error(op, "q", "float32, bfloat16 or float16", q)


def raw_arguments(
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
    cu_seqlens_q: Tensor | None = None,
    cu_seqlens_k: Tensor | None = None,
    dropout_seed: int = 0,
) -> Raw:
    """Arguments of `llmcore::attention`: an absent tensor is an empty one."""
    absent = q.new_empty(0)
    rules = (mask, bias, segment_ids, prefix_lens, alibi_slopes, sinks)
    optional = (*rules, cu_seqlens_q, cu_seqlens_k)
    return (
        q,
        k,
        v,
        *[absent if tensor is None else tensor for tensor in optional],
        q.shape[-1] ** -0.5 if spec.scale is None else spec.scale,
        spec.softcap,
        spec.dropout,
        signed(dropout_seed),
        spec.causal,
        spec.window,
        SPARSE_KINDS.index(spec.sparse),
        spec.stride,
        spec.summary,
    )


def signed(seed: int) -> int:
    """The seed's low 64 bits as the dispatcher's signed integer."""
    return (seed + 2**63) % 2**64 - 2**63


def wants_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )


def _broadcasts(tensor: Tensor, sizes: tuple[int, ...]) -> bool:
    """Whether every axis is 1 or its size; a negative size must be met."""
    return all(
        axis == abs(size) or (axis == 1 and size >= 0)
        for axis, size in zip(tensor.shape, sizes, strict=True)
    )


def _check_integers(op: str, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in (torch.int64, torch.int32):
        raise dtype_error(op, name, "int64 or int32", tensor)
