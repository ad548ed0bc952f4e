"""Attention over a paged cache: decoding and chunked prefill of many sequences at once."""

from typing import Any, Final

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.attention.arguments import check_native_dtype, check_vectors
from llmcore.ops.attention.pytorch import attention_torch
from llmcore.ops.attention.spec import CAUSAL, AttentionSpec
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.paged_attention.arguments import check_cache, check_tables, raw_arguments
from llmcore.ops.paged_attention.reference import paged_attention_reference
from llmcore.ops.paged_attention.register import paged_attention_native
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "paged_attention"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


@torch.no_grad()
def paged_attention(
    q: Float[Tensor, "N H D"],
    key_cache: Shaped[Tensor, "P page Hkv D"],
    value_cache: Shaped[Tensor, "P page Hkv Dv"],
    *,
    block_tables: Int[Tensor, "B _"],
    seq_lens: Int[Tensor, " B"],
    cu_seqlens_q: Int[Tensor, " _"],
    spec: AttentionSpec = CAUSAL,
    mask: Bool[Tensor, "N W"] | None = None,
    prefix_lens: Int[Tensor, " B"] | None = None,
    alibi_slopes: Float[Tensor, " H"] | None = None,
    sinks: Float[Tensor, " H"] | None = None,
    key_scales: Float[Tensor, "P page Hkv"] | None = None,
    value_scales: Float[Tensor, "P page Hkv"] | None = None,
) -> Float[Tensor, "N H Dv"]:
    r"""Attend from packed queries to the cached keys of their sequences; no gradient.

    Key s of sequence b is at offset s % page of page block_tables[b, s // page]. The sequence's T
    queries are its last tokens, whose keys the cache already holds: query t stands at position
    t + seq_lens[b] - T. One query per sequence is decoding, more are a chunk of a prompt or a tree
    of draft tokens. Scores and rules are those of `attention`.

    Args:
        q: Queries of all sequences in float32, bfloat16 or float16.
        key_cache: Pages of 1 to 256 tokens in q's dtype, int8, or bfloat16 under float32 queries.
        value_cache: The values, in key_cache's dtype; Dv may differ from D.
        block_tables: int64 or int32; entries beyond a sequence's last page are not read.
        seq_lens: Keys of each sequence, those of its queries among them.
        cu_seqlens_q: 0, the running sums of the numbers of queries, N.
        spec: Position rules, scale and softcap; no dropout.
        mask: True = keep, of every query and the last W keys of its sequence; earlier ones are
            kept. A tree of W draft tokens is such a mask, with `causal` or without.
        prefix_lens: With `causal`, every query also keeps its sequence's keys below it.
        alibi_slopes: Positive slopes in float32.
        sinks: A score per head that takes weight and gives no value.
        key_scales: float32 factors of the int8 keys per token and head; only with an int8 cache.
        value_scales: The same of the values.

    Raises:
        ShapeError: an argument's axes do not match, or a page is larger than 256 tokens.
        DtypeError: an argument has another dtype than said above.
        ConfigError: `spec` has dropout.
        RuntimeError: a length or an entry of a table lies outside the cache.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: the bits of `attention` over the same keys, whatever the page size, the batch and the
    chunking; float32 queries also over the multiplied-out keys of an int8 cache.
    Source: Kwon et al. 2023, arXiv:2309.06180.
    """
    if spec.dropout > 0:
        raise ConfigError(f"paged_attention: spec.dropout must be 0, got {spec.dropout}")
    _check(q, key_cache, mask)
    check_cache("paged_attention", q, key_cache, value_cache, key_scales, value_scales)
    check_tables(block_tables, seq_lens, cu_seqlens_q)
    check_vectors("paged_attention", q, seq_lens.shape[0], prefix_lens, alibi_slopes, sinks)
    options: dict[str, Any] = {
        "block_tables": block_tables,
        "seq_lens": seq_lens,
        "cu_seqlens_q": cu_seqlens_q,
        "spec": spec,
        "mask": mask,
        "prefix_lens": prefix_lens,
        "alibi_slopes": alibi_slopes,
        "sinks": sinks,
        "key_scales": key_scales,
        "value_scales": value_scales,
    }
    backend = choose("paged_attention", BACKENDS, q.device.type)
    if backend == NATIVE:
        check_native_dtype("paged_attention", q)
        return paged_attention_native(*raw_arguments(q, key_cache, value_cache, **options))
    one = attention_torch if backend == TORCH else None
    return paged_attention_reference(q, key_cache, value_cache, **options, one=one)


def _check(q: Tensor, key_cache: Tensor, mask: Tensor | None) -> None:
    op = "paged_attention"
    if q.dim() != 3:
        raise shape_error(op, "q", "(N, H, D)", q)
    if key_cache.dim() != 4 or key_cache.shape[2] == 0 or q.shape[1] % key_cache.shape[2]:
        expected = f"(P, page, a divisor of {q.shape[1]}, {q.shape[2]})"
        raise shape_error(op, "key_cache", expected, key_cache)
    if key_cache.shape[3] != q.shape[2]:
        expected = f"(P, page, Hkv, {q.shape[2]})"
        raise shape_error(op, "key_cache", expected, key_cache)
    if mask is None:
        return
    if mask.dim() != 2 or mask.shape[0] != q.shape[0]:
        raise shape_error(op, "mask", f"(N, W) with N = {q.shape[0]}", mask)
    if mask.dtype != torch.bool:
        raise dtype_error(op, "mask", "bool", mask)
