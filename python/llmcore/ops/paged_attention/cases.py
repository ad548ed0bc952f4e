"""Sample inputs of paged_attention: page sizes, cache types, decoding, chunks, trees, rules."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops.attention.spec import CAUSAL, FULL, AttentionSpec
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.paged_attention import paged_attention
from llmcore.ops.paged_attention.arguments import raw_arguments
from llmcore.ops.paged_attention.int8 import quantize
from llmcore.ops.paged_attention.reference import paged_attention_reference

Inputs = tuple[tuple[Tensor, Tensor, Tensor], dict[str, Any]]


def paged(
    query_lens: list[int],
    seq_lens: list[int],
    *,
    dtype: torch.dtype,
    page: int = 16,
    heads: tuple[int, int] = (4, 2),
    width: tuple[int, int] = (16, 16),
    cache_dtype: torch.dtype | None = None,
) -> Inputs:
    """Queries and a cache of shuffled pages, some of them nobody's; unused entries are garbage."""
    counts = [-(-length // page) for length in seq_lens]
    generator = torch.Generator().manual_seed(sum(seq_lens) + page)
    order = torch.randperm(sum(counts) + 3, generator=generator).tolist()
    tables = torch.full((len(seq_lens), max([1, *counts])), -7)
    for row, count in zip(tables, counts, strict=True):
        row[:count] = torch.tensor([order.pop() for _ in range(count)], dtype=torch.int64)
    shape = (sum(counts) + 3, page, heads[1])
    keys, values = normal(*shape, width[0], seed=1), normal(*shape, width[1], seed=2)
    options: dict[str, Any] = {
        "block_tables": tables,
        "seq_lens": torch.tensor(seq_lens, dtype=torch.int64),
        "cu_seqlens_q": torch.tensor([0, *query_lens]).cumsum(0),
    }
    if cache_dtype == torch.int8:
        keys, options["key_scales"] = quantize(keys)
        values, options["value_scales"] = quantize(values)
    stored = dtype if cache_dtype is None else cache_dtype
    q = normal(sum(query_lens), heads[0], width[0], dtype=dtype)
    return (q, keys.to(stored), values.to(stored)), options


def cases(dtype: torch.dtype) -> list[OpCase]:
    def case(name: str, inputs: Inputs, spec: AttentionSpec = CAUSAL, **more: Any) -> OpCase:
        return OpCase(name=name, args=inputs[0], kwargs={**inputs[1], "spec": spec, **more})

    mixed = paged([1, 9, 0, 70], [65, 33, 4, 130], dtype=dtype)
    decode = paged([1, 1, 1], [1, 65, 130], dtype=dtype, page=5, heads=(6, 2), width=(20, 33))
    tree = paged([5, 5], [40, 75], dtype=dtype, page=7)
    int8 = paged([1, 40], [65, 90], dtype=dtype, cache_dtype=torch.int8, width=(20, 48))
    drafts = torch.eye(5, dtype=torch.bool)
    drafts[:, 0] = True
    found = [
        case("one", paged([1], [1], dtype=dtype, page=1)),
        case("mixed", mixed),
        case("decode", decode),
        case("int8", int8),
        *[
            case(f"page of {page}", paged([1, 20], [70, 300], dtype=dtype, page=page))
            for page in (1, 3, 64, 100, 256)
        ],
        case("long", paged([2, 1], [2100, 1030], dtype=dtype, heads=(2, 1))),
        case("int8 decode", paged([1, 1], [9, 70], dtype=dtype, cache_dtype=torch.int8)),
        case("full", mixed, FULL),
        case("window", mixed, AttentionSpec(window=20)),
        case("sparse", mixed, AttentionSpec(sparse="local_or_strided", stride=9)),
        case("softcap", int8, AttentionSpec(softcap=2.0, scale=-0.3)),
        case("prefix", mixed, prefix_lens=torch.tensor([3, 30, 1, 100])),
        case("tree", tree, mask=drafts.repeat(2, 1)),
        case("wide mask", tree, FULL, mask=normal(10, 60) > 0),
        case("sinks", decode, sinks=normal(6, dtype=dtype), alibi_slopes=normal(6, seed=3).abs()),
        case("more queries", paged([9], [4], dtype=dtype)),
        case("no keys", paged([2, 1], [0, 3], dtype=dtype)),
        case("nothing", paged([0], [5], dtype=dtype)),
        case("no sequences", paged([], [], dtype=dtype)),
    ]
    args, options = paged([1, 30], [65, 33], dtype=dtype)
    narrow = {name: tensor.int() for name, tensor in options.items()}
    found.append(OpCase(name="int32", args=args, kwargs=narrow))
    heads_first = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in args[1:]]
    found.append(OpCase(name="heads first", args=(args[0], *heads_first), kwargs=options))
    if dtype == torch.float32:
        found.append(
            case("bfloat16", paged([1, 9], [65, 33], dtype=dtype, cache_dtype=torch.bfloat16))
        )
    return found


def wrong() -> list[WrongCase]:
    (q, keys, values), options = paged([1, 2], [20, 30], dtype=torch.float32)

    def bad(
        name: str, error: type[Exception], args: tuple[Tensor, ...] = (q, keys, values), **more: Any
    ) -> WrongCase:
        return WrongCase(name=name, args=args, kwargs={**options, **more}, error=error)

    tables = options["block_tables"]
    beyond, below = tables.clone(), tables.clone()
    beyond[1, 0], below[0, 1] = keys.shape[0], -1
    return [
        bad("rank", ShapeError, (q[0], keys, values)),
        bad("heads", ShapeError, (q[:, :3], keys, values)),
        bad("width", ShapeError, (q[..., :8], keys, values)),
        bad("cache", ShapeError, (q, keys[0], values)),
        bad("values", ShapeError, (q, keys, values[:1])),
        bad("page", ShapeError, (q, keys.new_zeros(1, 257, 2, 16), values)),
        bad("cache type", DtypeError, (q, keys.half(), values.half())),
        bad("value type", DtypeError, (q, keys, values.bfloat16())),
        bad("int8 without scales", DtypeError, (q, keys.to(torch.int8), values.to(torch.int8))),
        bad("scales without int8", DtypeError, key_scales=keys[..., 0]),
        bad("tables", ShapeError, block_tables=tables[:1]),
        bad("table type", DtypeError, block_tables=tables.float()),
        bad("lengths", ShapeError, seq_lens=options["seq_lens"][None]),
        bad("queries", ShapeError, cu_seqlens_q=torch.tensor([0, 3])),
        bad("mask", ShapeError, mask=torch.ones(2, 5, dtype=torch.bool)),
        bad("mask type", DtypeError, mask=torch.ones(3, 5)),
        bad("prefix", ShapeError, prefix_lens=torch.tensor([1])),
        bad("dropout", ConfigError, spec=AttentionSpec(dropout=0.1)),
        bad("page beyond the cache", RuntimeError, block_tables=beyond),
        bad("page below the cache", RuntimeError, block_tables=below),
        bad("length", RuntimeError, seq_lens=torch.tensor([20, 33])),
        bad("negative length", RuntimeError, seq_lens=torch.tensor([-1, 30])),
        bad("query ends", RuntimeError, cu_seqlens_q=torch.tensor([0, 2, 1])),
    ]


SPEC = OpSpec(
    name="paged_attention",
    public=paged_attention,
    reference=paged_attention_reference,
    cases=cases,
    wrong=wrong,
    dispatcher=raw_arguments,
)
