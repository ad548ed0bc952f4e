"""attention_packed against one call of scaled_dot_product_attention per sequence:
`python -m benchmarks.ops.bench_attention_packed`."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import attention_packed
from llmcore.ops.attention_packed.cases import ends
from llmcore.ops.cases import normal

# Lengths of the sequences, H, Hkv, D.
SHAPES: list[tuple[list[int], int, int, int]] = [
    ([256] * 4, 4, 2, 32),
    ([37, 512, 100, 351], 8, 2, 64),
    ([1000, 24, 500, 524], 4, 4, 80),
    ([2048, 1024, 700, 324], 2, 1, 128),
]


def one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = (tensor.transpose(1, 2) for tensor in (q, k, v))
    return F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True).transpose(1, 2)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for lens, heads, kv_heads, width in SHAPES:
        pairs = sum(length * (length + 1) // 2 for length in lens)
        flops = 4 * heads * width * pairs
        cu_seqlens = ends(lens).to(device)

        def packed(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor = cu_seqlens) -> Tensor:
            return attention_packed(q, k, v, cu_seqlens, cu_seqlens)

        def split(q: Tensor, k: Tensor, v: Tensor, lens: list[int] = lens) -> Tensor:
            parts = zip(q.split(lens), k.split(lens), v.split(lens), strict=True)
            return torch.cat([one(a[None], b[None], c[None])[0] for a, b, c in parts])

        for dtype in (torch.float32, torch.bfloat16):
            q = normal(sum(lens), heads, width, dtype=dtype)
            k, v = (normal(sum(lens), kv_heads, width, dtype=dtype, seed=s) for s in (1, 2))
            yield from passes(
                f"{str(dtype)[6:]} {'+'.join(map(str, lens))}x{heads}/{kv_heads}x{width}",
                {"llmcore": packed, "sdpa each": split},
                to_device((q, k, v), device),
                grads=(0, 1, 2),
                forward=Work(num_flops=flops),
                backward=Work(num_flops=flops * 5 // 2),
            )


if __name__ == "__main__":
    main(groups)
