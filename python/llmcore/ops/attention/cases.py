"""Sample inputs of attention: every rule alone and combined, odd sizes, rows that keep nothing."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.attention import attention
from llmcore.ops.attention.arguments import Raw, raw_arguments
from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.attention.spec import CAUSAL, FULL, AttentionSpec
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal


def qkv(
    batch: int,
    num_queries: int,
    num_keys: int,
    heads: tuple[int, int],
    width: tuple[int, int] = (16, 16),
    *,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values; `heads` is (H, Hkv), `width` is (D, Dv)."""
    return (
        normal(batch, num_queries, heads[0], width[0], dtype=dtype),
        normal(batch, num_keys, heads[1], width[0], dtype=dtype, seed=1),
        normal(batch, num_keys, heads[1], width[1], dtype=dtype, seed=2),
    )


def documents(batch: int, length: int, num_documents: int) -> Tensor:
    """Segment ids (B, T) in rising order, as packing makes them."""
    generator = torch.Generator().manual_seed(length)
    return torch.randint(num_documents, (batch, length), generator=generator).sort(dim=1).values


def same_document(ids: Tensor) -> Tensor:
    return ids.unsqueeze(2) == ids.unsqueeze(1)


def _case(name: str, args: tuple[Tensor, ...], spec: AttentionSpec, **options: Any) -> OpCase:
    return OpCase(name=name, args=(*args, spec), kwargs=options)


def cases(dtype: torch.dtype) -> list[OpCase]:
    return [
        OpCase(name="one", args=qkv(1, 1, 1, (1, 1), dtype=dtype)),
        *_combined_cases(dtype)[:1],
        *_shape_cases(dtype),
        *_rule_cases(dtype),
        *_tensor_rule_cases(dtype),
        *_score_cases(dtype),
        *_combined_cases(dtype)[1:],
    ]


def _shape_cases(dtype: torch.dtype) -> list[OpCase]:
    fused = normal(2, 12, 8, 20, dtype=dtype)
    return [
        OpCase(name="causal", args=qkv(2, 33, 33, (4, 2), (20, 20), dtype=dtype)),
        _case("full", qkv(1, 31, 130, (2, 2), (80, 80), dtype=dtype), FULL),
        OpCase(name="long", args=qkv(1, 130, 130, (3, 1), (64, 64), dtype=dtype)),
        OpCase(name="value width", args=qkv(1, 65, 65, (4, 2), (16, 80), dtype=dtype)),
        OpCase(name="key width", args=qkv(1, 17, 66, (2, 1), (80, 17), dtype=dtype)),
        OpCase(name="decode", args=qkv(3, 1, 65, (8, 1), dtype=dtype)),
        OpCase(name="chunk", args=qkv(2, 5, 130, (6, 3), (64, 64), dtype=dtype)),
        OpCase(name="more queries", args=qkv(1, 70, 4, (2, 1), dtype=dtype)),
        OpCase(name="narrow", args=qkv(1, 9, 9, (2, 1), (1, 3), dtype=dtype)),
        OpCase(name="no queries", args=qkv(2, 0, 3, (2, 1), dtype=dtype)),
        OpCase(name="no keys", args=qkv(2, 3, 0, (2, 1), dtype=dtype)),
        OpCase(name="sliced", args=(fused[:, :, :4], fused[:, :, 4:6], fused[:, :, 6:])),
        OpCase(
            name="other strides",
            args=tuple(
                tensor.permute(0, 2, 1, 3)
                for tensor in qkv(2, 6, 2, (33, 33), (17, 17), dtype=dtype)[:1]
                + qkv(2, 2, 2, (33, 33), (17, 17), dtype=dtype)[1:]
            ),
        ),
    ]


def _rule_cases(dtype: torch.dtype) -> list[OpCase]:
    square = qkv(1, 130, 130, (2, 1), dtype=dtype)
    cached = qkv(1, 9, 75, (2, 1), dtype=dtype)
    longer = qkv(1, 12, 5, (2, 1), dtype=dtype)
    found = [
        _case("window", square, AttentionSpec(window=20)),
        _case("window of one", cached, AttentionSpec(window=1)),
        _case("window both ways", square, AttentionSpec(causal=False, window=5)),
        _case("window, cached", cached, AttentionSpec(window=66)),
        _case("window, more queries", longer, AttentionSpec(causal=False, window=3)),
    ]
    for kind in ("strided", "local_or_strided", "fixed_local", "fixed_summary", "fixed"):
        sparse = AttentionSpec(sparse=kind, stride=7, summary=2)
        both_ways = AttentionSpec(causal=False, sparse=kind, stride=24, summary=24)
        found += [
            _case(f"{kind}", square, sparse),
            _case(f"{kind}, cached", cached, sparse),
            _case(f"{kind}, both ways", cached, both_ways),
            _case(f"{kind}, more queries", longer, sparse),
        ]
    found.append(_case("stride of one", square, AttentionSpec(sparse="strided", stride=1)))
    return found


def _tensor_rule_cases(dtype: torch.dtype) -> list[OpCase]:
    square = qkv(2, 70, 70, (4, 2), dtype=dtype)
    cached = qkv(2, 5, 70, (2, 1), dtype=dtype)
    ids = documents(2, 70, 4)
    mask = same_document(ids)
    empty_rows = mask.clone()
    empty_rows[1, 20:] = False
    prefix = torch.tensor([0, 40])
    return [
        _case("mask", square, CAUSAL, mask=mask),
        _case("rows that keep nothing", square, FULL, mask=empty_rows),
        _case("one mask", square, FULL, mask=mask[1:]),
        _case("mask, other strides", square, CAUSAL, mask=mask.transpose(1, 2)),
        _case("tree", cached, CAUSAL, mask=torch.ones(5, 70).tril(65).bool()[None]),
        _case("segments", square, CAUSAL, segment_ids=ids),
        _case("unsorted segments", square, FULL, segment_ids=ids.flip(1).roll(9, dims=1) - 1),
        _case("segments, cached", cached, CAUSAL, segment_ids=ids.int()),
        _case("prefix", square, CAUSAL, prefix_lens=prefix),
        _case("prefix, cached", cached, AttentionSpec(window=30), prefix_lens=prefix + 28),
        _case("odd prefix", square, CAUSAL, prefix_lens=torch.tensor([-3, 1000]).int()),
    ]


def _score_cases(dtype: torch.dtype) -> list[OpCase]:
    square = qkv(2, 67, 67, (4, 2), dtype=dtype)
    cached = qkv(2, 3, 66, (4, 2), dtype=dtype)
    small = qkv(2, 5, 9, (2, 1), dtype=dtype)
    shapes = [(2, 4, 67, 67), (1, 4, 67, 67), (2, 1, 1, 67), (1, 4, 67, 1), (1, 1, 1, 1)]
    slopes = 2.0 ** -torch.arange(1.0, 5.0)
    dropout = AttentionSpec(causal=False, dropout=0.25)
    found = [
        _case("bias " + "x".join(map(str, shape)), square, CAUSAL, bias=normal(*shape, dtype=dtype))
        for shape in shapes
    ]
    turned = normal(1, 66, 3, 4, dtype=dtype).permute(0, 3, 2, 1)
    return found + [
        _case("bias, other strides", cached, FULL, bias=turned),
        _case("scale", square, AttentionSpec(scale=-0.7)),
        _case("softcap", square, AttentionSpec(softcap=1.5)),
        _case("large softcap", cached, AttentionSpec(softcap=50.0)),
        _case("alibi", square, CAUSAL, alibi_slopes=slopes),
        _case("alibi both ways", cached, FULL, alibi_slopes=slopes),
        _case("sinks", square, CAUSAL, sinks=normal(4, dtype=dtype, seed=3)),
        _case("float32 sinks", cached, FULL, sinks=normal(4, seed=3)),
        _case("dropout", small, dropout, dropout_seed=2**40 + 5),
        _case("dropout, negative seed", square, AttentionSpec(dropout=0.5), dropout_seed=-3),
    ]


def _combined_cases(dtype: torch.dtype) -> list[OpCase]:
    args = qkv(2, 70, 75, (4, 2), (20, 33), dtype=dtype)
    mask = same_document(documents(2, 75, 3))[:, 5:]
    mask[0, 9] = False
    everything = AttentionSpec(window=40, softcap=3.0, scale=0.4, dropout=0.1)
    slopes = 2.0 ** -torch.arange(2.0, 6.0)
    return [
        _case(
            "everything",
            args,
            everything,
            mask=mask,
            bias=normal(1, 4, 70, 75, dtype=dtype, seed=4),
            segment_ids=documents(2, 75, 2),
            prefix_lens=torch.tensor([3, 50]),
            alibi_slopes=slopes,
            sinks=normal(4, dtype=dtype, seed=5),
            dropout_seed=11,
        ),
        _case(
            "sinks of rows that keep nothing",
            args,
            AttentionSpec(causal=False),
            mask=mask & (torch.arange(70) % 3 > 0)[None, :, None],
            sinks=normal(4, dtype=dtype, seed=5),
        ),
        _case(
            "sparse with bias",
            args,
            AttentionSpec(sparse="fixed", stride=16, summary=3, softcap=5.0),
            bias=normal(2, 4, 1, 75, dtype=dtype, seed=4),
            segment_ids=documents(2, 75, 2),
        ),
    ]


def wrong() -> list[WrongCase]:
    q, k, v = qkv(2, 5, 5, (4, 2), dtype=torch.float32)
    mask = same_document(documents(2, 5, 2))
    ids = documents(2, 5, 2)

    def bad(name: str, error: type[Exception], **kwargs: Any) -> WrongCase:
        return WrongCase(name=name, args=(q, k, v), kwargs=kwargs, error=error)

    return [
        WrongCase(name="rank", args=(q[0], k, v), error=ShapeError),
        WrongCase(name="heads", args=(q[:, :, :3], k, v), error=ShapeError),
        WrongCase(name="no heads", args=(q, k[:, :, :0], v[:, :, :0]), error=ShapeError),
        WrongCase(name="batch", args=(q, k[:1], v[:1]), error=ShapeError),
        WrongCase(name="values", args=(q, k, v[:, :4]), error=ShapeError),
        WrongCase(name="dtype", args=(q, k.half(), v), error=DtypeError),
        WrongCase(name="value dtype", args=(q, k, v.bfloat16()), error=DtypeError),
        bad("mask", ShapeError, mask=mask[:, :4]),
        bad("mask axis of one", ShapeError, mask=mask[:, :, :1]),
        bad("mask type", DtypeError, mask=mask.float()),
        bad("bias", ShapeError, bias=normal(2, 3, 5, 5)),
        bad("bias rank", ShapeError, bias=normal(4, 5, 5)),
        bad("bias type", DtypeError, bias=normal(2, 4, 5, 5).half()),
        bad("segments", ShapeError, segment_ids=ids[:, :4]),
        bad("segment type", DtypeError, segment_ids=ids.float()),
        bad("prefix", ShapeError, prefix_lens=torch.tensor([1])),
        bad("prefix type", DtypeError, prefix_lens=torch.tensor([1.0, 2.0])),
        bad("slopes", ShapeError, alibi_slopes=normal(2)),
        bad("slope type", DtypeError, alibi_slopes=normal(4).half()),
        bad("sinks", ShapeError, sinks=normal(2)),
        bad("sink type", DtypeError, sinks=normal(4).half()),
        WrongCase(
            name="segments of fewer keys",
            args=(q, k[:, :3], v[:, :3]),
            kwargs={"segment_ids": ids[:, :3]},
            error=ShapeError,
        ),
    ]


def dispatcher(
    q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec = CAUSAL, **options: Any
) -> Raw:
    return raw_arguments(q, k, v, spec, **options)


SPEC = OpSpec(
    name="attention",
    public=attention,
    reference=attention_reference,
    grads=(0, 1, 2, "bias", "sinks"),
    cases=cases,
    wrong=wrong,
    dispatcher=dispatcher,
)
