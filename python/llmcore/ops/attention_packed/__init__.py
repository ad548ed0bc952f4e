"""Attention over sequences packed one after the other, without a batch axis or padding."""

from typing import Any, Final

from jaxtyping import Float, Int
from torch import Tensor

from llmcore.ops.attention.arguments import (
    check_heads,
    check_native_dtype,
    check_vectors,
    raw_arguments,
    wants_gradient,
)
from llmcore.ops.attention.pytorch import attention_torch
from llmcore.ops.attention.spec import CAUSAL, AttentionSpec
from llmcore.ops.attention_packed.reference import attention_packed_reference
from llmcore.ops.attention_packed.register import attention_no_grad_native, attention_with_gradient
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "attention_packed"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


def attention_packed(
    q: Float[Tensor, "N H D"],
    k: Float[Tensor, "M Hkv D"],
    v: Float[Tensor, "M Hkv Dv"],
    cu_seqlens_q: Int[Tensor, " _"],
    cu_seqlens_k: Int[Tensor, " _"],
    spec: AttentionSpec = CAUSAL,
    *,
    prefix_lens: Int[Tensor, " B"] | None = None,
    alibi_slopes: Float[Tensor, " H"] | None = None,
    sinks: Float[Tensor, " H"] | None = None,
    dropout_seed: int = 0,
) -> Float[Tensor, "N H Dv"]:
    r"""Attend within each of B packed sequences, as `attention` does to one of them alone.

    Sequence b owns queries cu_seqlens_q[b] up to cu_seqlens_q[b + 1] and keys likewise; its last
    query stands at its last key. A sequence may be empty.

    Args:
        q: Queries of all sequences in float32, bfloat16 or float16; k and v have their dtype.
        k: Keys; Hkv divides H.
        v: Values; Dv may differ from D.
        cu_seqlens_q: int64 or int32 (B + 1,): 0, the running sums of the lengths, N.
        cu_seqlens_k: The same of the keys.
        spec: Position rules, scale, softcap and dropout rate, as in `attention`.
        prefix_lens: With `causal`, every query also keeps its sequence's keys below it.
        alibi_slopes: Positive slopes in float32; no gradient.
        sinks: A score per head that takes weight and gives no value.
        dropout_seed: Seed of the weights that `spec.dropout` drops.

    Raises:
        ShapeError: an argument's axes do not match.
        DtypeError: an argument has another dtype than said above.
        RuntimeError: cu_seqlens do not rise from 0 to the number of tokens.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: as `attention`; a sequence's rows are the same to the bit alone and packed.
    Source: Dao 2023, arXiv:2307.08691 (its variable-length interface).
    """
    _check(q, k, v, cu_seqlens_q, cu_seqlens_k)
    num_sequences = cu_seqlens_q.shape[0] - 1
    check_vectors("attention_packed", q, num_sequences, prefix_lens, alibi_slopes, sinks)
    options: dict[str, Any] = {
        "prefix_lens": prefix_lens,
        "alibi_slopes": alibi_slopes,
        "sinks": sinks,
        "dropout_seed": dropout_seed,
    }
    backend = choose("attention_packed", BACKENDS, q.device.type)
    if backend == NATIVE:
        check_native_dtype("attention_packed", q)
        lens: dict[str, Any] = {"cu_seqlens_q": cu_seqlens_q, "cu_seqlens_k": cu_seqlens_k}
        raw = raw_arguments(q, k, v, spec, **options, **lens)
        if wants_gradient(q, k, v, sinks):
            return attention_with_gradient(*raw)
        return attention_no_grad_native(*raw)
    one = attention_torch if backend == TORCH else None
    return attention_packed_reference(q, k, v, cu_seqlens_q, cu_seqlens_k, spec, one=one, **options)


def _check(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor) -> None:
    op = "attention_packed"
    if q.dim() != 3:
        raise shape_error(op, "q", "(N, H, D)", q)
    check_heads(op, q, k, v)
    if cu_seqlens_q.dim() != 1 or cu_seqlens_q.shape[0] == 0:
        raise shape_error(op, "cu_seqlens_q", "(B + 1,)", cu_seqlens_q)
    if cu_seqlens_k.shape != cu_seqlens_q.shape:
        expected = f"(B + 1,) = {tuple(cu_seqlens_q.shape)}"
        raise shape_error(op, "cu_seqlens_k", expected, cu_seqlens_k)
    for name, lens in (("cu_seqlens_q", cu_seqlens_q), ("cu_seqlens_k", cu_seqlens_k)):
        if lens.dtype.is_floating_point or lens.dtype.itemsize < 4:
            raise dtype_error(op, name, "int64 or int32", lens)
