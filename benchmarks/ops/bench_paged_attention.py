"""paged_attention: decoding over a cache that no processor cache holds, against
scaled_dot_product_attention over contiguous keys, and a chunk of a prompt:
`python -m benchmarks.ops.bench_paged_attention`."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender
from llmcore.ops import paged_attention
from llmcore.ops.attention import CAUSAL
from llmcore.ops.cases import normal
from llmcore.ops.paged_attention.int8 import quantize
from llmcore.ops.paged_attention.reference import gather

# (B, T, S, H, Hkv, D, page)
DECODE = [
    (1, 1, 16384, 32, 8, 128, 16),
    (8, 1, 4096, 8, 8, 64, 64),
    (4, 1, 10000, 16, 4, 80, 1),
    (1, 1, 32768, 8, 1, 128, 256),
]
CHUNK = [(1, 512, 4096, 8, 2, 128, 16), (4, 100, 1000, 8, 8, 64, 64)]
CACHES: list[tuple[torch.dtype, torch.dtype]] = [
    (torch.float32, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.bfloat16, torch.int8),
]


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q (B, T, H, D) at the end of k and v (B, S, Hkv, D)."""
    heads = [tensor.transpose(1, 2) for tensor in (q, k, v)]
    num_queries, num_keys = q.shape[1], k.shape[1]
    mask = None
    if num_queries > 1:
        mask = torch.ones(num_queries, num_keys, dtype=torch.bool, device=q.device)
        mask = mask.tril(num_keys - num_queries)
    return F.scaled_dot_product_attention(*heads, attn_mask=mask, enable_gqa=True).transpose(1, 2)


def group_of(
    name: str, shape: tuple[int, ...], dtypes: tuple[torch.dtype, torch.dtype], device: torch.device
) -> list[Contender]:
    batch, num_queries, num_keys, heads, kv_heads, width, page = shape
    dtype, stored = dtypes
    pages = -(-num_keys // page)
    q = normal(batch * num_queries, heads, width, dtype=dtype).to(device)
    caches = [normal(batch * pages, page, kv_heads, width, seed=s).to(device) for s in (1, 2)]
    options: dict[str, Any] = {
        "block_tables": torch.randperm(batch * pages, device=device).view(batch, pages),
        "seq_lens": torch.full((batch,), num_keys, device=device),
        "cu_seqlens_q": torch.arange(batch + 1, device=device) * num_queries,
        "spec": CAUSAL,
    }
    if stored == torch.int8:
        (keys, options["key_scales"]), (values, options["value_scales"]) = map(quantize, caches)
    else:
        keys, values = (cache.to(stored) for cache in caches)
    contiguous = [
        torch.stack(
            [gather(cache, table, num_keys, None, dtype) for table in options["block_tables"]]
        )
        for cache in (caches[0].to(dtype), caches[1].to(dtype))
    ]
    runs: dict[str, Callable[[], object]] = {
        "llmcore": lambda: paged_attention(q, keys, values, **options),
        "sdpa": lambda: sdpa(q.view(batch, num_queries, heads, width), *contiguous),
    }
    text = "x".join(map(str, (batch, num_queries, num_keys, f"{heads}/{kv_heads}", width)))
    kind = f"{str(stored)[6:]} {text} page {page}"
    is_decode = num_queries == 1
    pairs = num_queries * num_keys - num_queries * (num_queries - 1) // 2
    return [
        Contender(
            group=f"{name} {kind}",
            name=who,
            run=run,
            device=device,
            num_bytes=2 * batch * num_keys * kv_heads * width * stored.itemsize if is_decode else 0,
            num_flops=0 if is_decode else 4 * batch * heads * width * pairs,
            limit="read" if is_decode else "flops",
        )
        for who, run in runs.items()
    ]


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for name, shapes in (("decode", DECODE), ("chunk", CHUNK)):
        for shape in shapes:
            for dtypes in CACHES:
                yield group_of(name, shape, dtypes, device)


if __name__ == "__main__":
    main(groups)
