"""append_to_cache_ against indexed assignment: `python -m benchmarks.ops.bench_append_to_cache`."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender
from llmcore.ops import append_to_cache_
from llmcore.ops.append_to_cache.reference import append_to_cache_reference_
from llmcore.ops.cases import normal

# (N, Hkv, D, page): a decoding batch, odd sizes, prompts.
SHAPES = [(32, 8, 128, 16), (1000, 3, 80, 7), (4096, 8, 64, 64), (8192, 8, 128, 256)]


def group_of(shape: tuple[int, ...], stored: torch.dtype, device: torch.device) -> list[Contender]:
    count, heads, width, page = shape
    pages = -(-count // page) + 1
    k, v = (normal(count, heads, width, seed=s).to(device, torch.bfloat16) for s in (1, 2))
    caches = [torch.zeros(pages, page, heads, width, dtype=stored, device=device) for _ in "kv"]
    scales: list[Tensor | None] = [None, None]
    if stored == torch.int8:
        scales = [torch.zeros(pages, page, heads, device=device) for _ in "kv"]
    slots = torch.randperm(pages * page, device=device)[:count]

    def call(append: Callable[..., None]) -> Callable[[], object]:
        return lambda: append(k, v, *caches, slots, *scales)

    num_bytes = 2 * count * heads * width * (2 + stored.itemsize)
    return [
        Contender(
            group=f"append {str(stored)[6:]} {count}x{heads}x{width} page {page}",
            name=name,
            run=call(append),
            device=device,
            num_bytes=num_bytes,
            allocates=False,
        )
        for name, append in (("llmcore", append_to_cache_), ("indexed", append_to_cache_reference_))
    ]


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for shape in SHAPES:
        for stored in (torch.bfloat16, torch.int8):
            yield group_of(shape, stored, device)


if __name__ == "__main__":
    main(groups)
