"""Sample inputs of attention_packed: empty sequences, cached keys, every rule that it takes."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.attention.arguments import Raw, raw_arguments
from llmcore.ops.attention.spec import CAUSAL, FULL, AttentionSpec
from llmcore.ops.attention_packed import attention_packed
from llmcore.ops.attention_packed.reference import attention_packed_reference
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal


def ends(lens: list[int], dtype: torch.dtype = torch.int64) -> Tensor:
    """cu_seqlens of these lengths."""
    return torch.tensor([0, *lens]).cumsum(0).to(dtype)


def packed(
    query_lens: list[int],
    key_lens: list[int],
    *,
    dtype: torch.dtype,
    heads: tuple[int, int] = (4, 2),
    width: tuple[int, int] = (16, 16),
) -> tuple[Tensor, ...]:
    num_queries, num_keys = sum(query_lens), sum(key_lens)
    return (
        normal(num_queries, heads[0], width[0], dtype=dtype),
        normal(num_keys, heads[1], width[0], dtype=dtype, seed=1),
        normal(num_keys, heads[1], width[1], dtype=dtype, seed=2),
        ends(query_lens),
        ends(key_lens),
    )


def cases(dtype: torch.dtype) -> list[OpCase]:
    def case(name: str, args: tuple[Tensor, ...], spec: AttentionSpec, **options: Any) -> OpCase:
        return OpCase(name=name, args=(*args, spec), kwargs=options)

    mixed = packed([1, 33, 0, 70], [5, 33, 4, 70], dtype=dtype)
    chunks = packed([3, 1, 9], [70, 130, 9], dtype=dtype, heads=(6, 2), width=(20, 33))
    slopes, sinks = 2.0 ** -torch.arange(1.0, 5.0), normal(4, dtype=dtype, seed=3)
    q, k, v, *_ = chunks
    return [
        OpCase(name="one", args=packed([1], [1], dtype=dtype)),
        OpCase(name="mixed", args=mixed),
        OpCase(name="chunks", args=chunks),
        case("full", mixed, FULL),
        case("more queries", packed([9, 70], [4, 3], dtype=dtype), AttentionSpec(window=4)),
        case("window", mixed, AttentionSpec(window=9)),
        case("sparse", mixed, AttentionSpec(sparse="fixed", stride=8, summary=2)),
        case("prefix", mixed, CAUSAL, prefix_lens=torch.tensor([0, 20, 3, 65])),
        case("softcap", mixed, AttentionSpec(softcap=2.0, scale=0.5), alibi_slopes=slopes),
        case("sinks", mixed, CAUSAL, sinks=sinks, alibi_slopes=slopes),
        case("dropout", mixed, AttentionSpec(dropout=0.3), dropout_seed=9),
        OpCase(name="int32", args=(q, k, v, chunks[3].int(), chunks[4].int())),
        OpCase(name="no keys", args=packed([2, 3], [0, 4], dtype=dtype)),
        OpCase(name="nothing", args=packed([0, 0], [0, 0], dtype=dtype)),
    ]


def wrong() -> list[WrongCase]:
    q, k, v, ends_q, ends_k = packed([2, 5], [2, 6], dtype=torch.float32)

    def bad(name: str, error: type[Exception], *args: Tensor, **kwargs: Any) -> WrongCase:
        return WrongCase(name=name, args=args, kwargs=kwargs, error=error)

    return [
        bad("rank", ShapeError, q[None], k, v, ends_q, ends_k),
        bad("heads", ShapeError, q[:, :3], k, v, ends_q, ends_k),
        bad("values", ShapeError, q, k, v[:3], ends_q, ends_k),
        bad("dtype", DtypeError, q, k.half(), v, ends_q, ends_k),
        bad("ends of queries", ShapeError, q, k, v, ends_q[:0], ends_k),
        bad("ends of keys", ShapeError, q, k, v, ends_q, ends_k[:2]),
        bad("type of ends", DtypeError, q, k, v, ends_q.float(), ends_k),
        bad("prefix", ShapeError, q, k, v, ends_q, ends_k, prefix_lens=torch.tensor([1])),
    ]


def _dispatcher(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    spec: AttentionSpec = CAUSAL,
    **options: Any,
) -> Raw:
    lens: dict[str, Any] = {"cu_seqlens_q": cu_seqlens_q, "cu_seqlens_k": cu_seqlens_k}
    return raw_arguments(q, k, v, spec, **options, **lens)


SPEC = OpSpec(
    name="attention_packed",
    public=attention_packed,
    reference=attention_packed_reference,
    registered="llmcore::attention",
    source="attention",
    grads=(0, 1, 2, "sinks"),
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
)
