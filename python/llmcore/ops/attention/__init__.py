"""Attention over contiguous keys and values: every position rule and score shape in one op."""

from typing import Any, Final

from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmcore.ops.attention.arguments import (
    check_heads,
    check_native_dtype,
    check_pairs,
    check_vectors,
    raw_arguments,
    wants_gradient,
)
from llmcore.ops.attention.pytorch import attention_torch
from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.attention.register import attention_no_grad_native, attention_with_gradient
from llmcore.ops.attention.spec import CAUSAL, FULL, AttentionSpec
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.shape_check import shape_error

__all__ = ["BACKENDS", "CAUSAL", "FULL", "AttentionSpec", "attention"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


def attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S Hkv D"],
    v: Float[Tensor, "B S Hkv Dv"],
    spec: AttentionSpec = CAUSAL,
    *,
    mask: Bool[Tensor, "#B T S"] | None = None,
    bias: Float[Tensor, "#B #H #T #S"] | None = None,
    segment_ids: Int[Tensor, "B S"] | None = None,
    prefix_lens: Int[Tensor, " B"] | None = None,
    alibi_slopes: Float[Tensor, " H"] | None = None,
    sinks: Float[Tensor, " H"] | None = None,
    dropout_seed: int = 0,
) -> Float[Tensor, "B T H Dv"]:
    r"""Mix the values of the kept keys, weighted by the softmax of the shaped scores.

        z_ts  = cap(scale * q_t . k_s) + bias_ts - alibi_h * |i - s|,  cap(x) = c tanh(x / c)
        out_t = sum_s exp(z_ts) v_s / (exp(sink_h) + sum_s exp(z_ts))

    Query t stands at position i = t + S - T, so the last query at the last key. Query head h reads
    key/value head h // (H / Hkv). A pair is kept where `spec` and every tensor below keep it.

    Args:
        q: Queries in float32, bfloat16 or float16; k and v have their dtype.
        k: Keys; Hkv divides H.
        v: Values; Dv may differ from D.
        spec: Position rules, scale, softcap and dropout rate.
        mask: True = keep; the first axis may be 1. A tree of draft tokens is such a mask.
        bias: Added to the scaled scores, in q's dtype; any axis may be 1 (T5's is (1, H, T, S)).
        segment_ids: Keep pairs of equal id; the queries are the last T tokens, so S >= T.
        prefix_lens: With `causal`, every query also keeps keys below it (prefix LM).
        alibi_slopes: Positive slopes in float32; no gradient.
        sinks: A score per head that takes weight and gives no value (gpt-oss).
        dropout_seed: Seed of the weights that `spec.dropout` drops; the same seed drops the same.

    Raises:
        ShapeError: an argument's axes do not match.
        DtypeError: an argument has another dtype than said above.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: sums and softmax in float32 without a T x S array; a row is reduced in one order that
    depends on neither batch, threads nor chunking. bfloat16 weights may round to bfloat16 before
    they meet the values. A query that keeps no key gives zeros and gets no gradient. Where a value
    is not finite, queries that do not keep it may become NaN too.
    Source: Vaswani et al. 2017; Dao 2023, arXiv:2307.08691; Ainslie et al. 2023, arXiv:2305.13245
    (grouped heads); Press et al. 2021, arXiv:2108.12409 (ALiBi).
    """
    if q.dim() != 4:
        raise shape_error("attention", "q", "(B, T, H, D)", q)
    check_heads("attention", q, k, v)
    check_pairs("attention", q, k, mask, bias, segment_ids)
    check_vectors("attention", q, q.shape[0], prefix_lens, alibi_slopes, sinks)
    options: dict[str, Any] = {
        "mask": mask,
        "bias": bias,
        "segment_ids": segment_ids,
        "prefix_lens": prefix_lens,
        "alibi_slopes": alibi_slopes,
        "sinks": sinks,
        "dropout_seed": dropout_seed,
    }
    backend = choose("attention", BACKENDS, q.device.type)
    if backend == NATIVE:
        check_native_dtype("attention", q)
        raw = raw_arguments(q, k, v, spec, **options)
        if wants_gradient(q, k, v, bias, sinks):
            return attention_with_gradient(*raw)
        return attention_no_grad_native(*raw)
    if backend == TORCH:
        return attention_torch(q, k, v, spec, **options)
    return attention_reference(q, k, v, spec, **options)
