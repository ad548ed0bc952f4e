"""Sample inputs of append_to_cache_: each cache type, rows without a scale, odd widths."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.append_to_cache import append_to_cache_
from llmcore.ops.append_to_cache.reference import append_to_cache_reference_
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal

PAGES, HEADS = 5, 3


def tokens(
    count: int,
    *,
    dtype: torch.dtype,
    cache_dtype: torch.dtype,
    page: int = 4,
    width: tuple[int, int] = (16, 16),
) -> tuple[Any, ...]:
    """Arguments: `count` tokens, a cache with something in it, distinct slots, scales or None."""
    k = normal(count, HEADS, width[0], dtype=dtype)
    v = normal(count, HEADS, width[1], dtype=dtype, seed=1)
    caches = [
        (normal(PAGES, page, HEADS, size, seed=seed) * 9).to(cache_dtype)
        for seed, size in enumerate(width, start=2)
    ]
    generator = torch.Generator().manual_seed(count)
    slots = torch.randperm(PAGES * page, generator=generator)[:count]
    if cache_dtype != torch.int8:
        return (k, v, *caches, slots, None, None)
    scales = [torch.full((PAGES, page, HEADS), 7.0) for _ in range(2)]
    return (k, v, *caches, slots, *scales)


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(name="one", args=tokens(1, dtype=dtype, cache_dtype=dtype)),
        OpCase(name="some", args=tokens(9, dtype=dtype, cache_dtype=dtype, width=(33, 20))),
        OpCase(name="int8", args=tokens(9, dtype=dtype, cache_dtype=torch.int8)),
        OpCase(
            name="int8, odd widths",
            args=tokens(5, dtype=dtype, cache_dtype=torch.int8, page=1, width=(1, 67)),
        ),
        OpCase(name="none", args=tokens(0, dtype=dtype, cache_dtype=torch.int8)),
        OpCase(name="many", args=tokens(900, dtype=dtype, cache_dtype=torch.int8, page=200)),
    ]
    k, v, *rest = tokens(4, dtype=dtype, cache_dtype=torch.int8)
    k[0] = 0
    found.append(OpCase(name="a row of zeros", args=(k, v * 1e-4, *rest)))
    fused = normal(4, HEADS, 48, dtype=dtype)
    args = (fused[..., :32:2], fused[..., 32:], *rest[:2], rest[2].int(), *rest[3:])
    found.append(OpCase(name="sliced", args=args))
    if dtype == torch.float32:
        args = tokens(7, dtype=dtype, cache_dtype=torch.bfloat16)
        found.append(OpCase(name="bfloat16", args=args))
    return found


def wrong() -> list[WrongCase]:
    k, v, keys, values, slots, *_ = tokens(3, dtype=torch.float32, cache_dtype=torch.float32)

    def bad(name: str, error: type[Exception], *args: Tensor) -> WrongCase:
        return WrongCase(name=name, args=args, error=error)

    return [
        bad("rank", ShapeError, k[0], v, keys, values, slots),
        bad("heads", ShapeError, k[:, :2], v, keys, values, slots),
        bad("value tokens", ShapeError, k, v[:2], keys, values, slots),
        bad("value type", DtypeError, k, v.half(), keys, values, slots),
        bad("cache type", DtypeError, k, v, keys.half(), values.half(), slots),
        bad("slots", ShapeError, k, v, keys, values, slots[:2]),
        bad("slot type", DtypeError, k, v, keys, values, slots.float()),
        bad("scales", DtypeError, k, v, keys, values, slots, keys[..., 0]),
        bad("slot beyond the cache", RuntimeError, k, v, keys, values, slots + 20),
        bad("negative slot", RuntimeError, k, v, keys, values, slots - 20),
    ]


def _dispatcher(
    k: Tensor,
    v: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    key_scales: Tensor | None = None,
    value_scales: Tensor | None = None,
) -> tuple[Tensor, ...]:
    first = k.new_empty(0) if key_scales is None else key_scales
    second = k.new_empty(0) if value_scales is None else value_scales
    return (k, v, key_cache, value_cache, slots, first, second)


SPEC = OpSpec(
    name="append_to_cache_",
    public=append_to_cache_,
    reference=append_to_cache_reference_,
    source="paged_attention",
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
    exact=True,
)
