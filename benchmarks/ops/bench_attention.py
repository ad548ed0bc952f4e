"""Causal grouped attention against the matrix products and softmax written out, and against
scaled_dot_product_attention called directly: `python -m benchmarks.ops.bench_attention`."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import attention
from llmcore.ops.cases import normal

# (B, T, H, Hkv, D): the quickstart's, odd sizes, and long ones.
SHAPES = [
    (2, 256, 4, 2, 32),
    (1, 1000, 8, 2, 80),
    (1, 1024, 16, 4, 64),
    (1, 2048, 4, 4, 128),
    (1, 4096, 4, 2, 64),
    (1, 4096, 2, 1, 128),
]
LONGEST_SCORES = 1024  # beyond it the scores written out take too long, and memory


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = (tensor.transpose(1, 2) for tensor in (q, k, v))
    return F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True).transpose(1, 2)


def matmul_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group, length = q.shape[2] // k.shape[2], q.shape[1]
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    future = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
    probs = scores.masked_fill(future, -torch.inf).softmax(dim=-1, dtype=torch.float32)
    return (probs.to(q.dtype) @ v).transpose(1, 2)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for batch, length, heads, kv_heads, width in SHAPES:
        # Two products of 2 D flops per kept pair; the backward has five.
        flops = 4 * batch * heads * width * (length * (length + 1) // 2)
        calls: dict[str, Callable[..., Tensor]] = {"llmcore": attention, "sdpa": sdpa}
        if length <= LONGEST_SCORES:
            calls["matmul + softmax"] = matmul_softmax
        for dtype in (torch.float32, torch.bfloat16):
            q = normal(batch, length, heads, width, dtype=dtype)
            k, v = (normal(batch, length, kv_heads, width, dtype=dtype, seed=s) for s in (1, 2))
            yield from passes(
                f"{str(dtype)[6:]} {batch}x{length}x{heads}/{kv_heads}x{width}",
                calls,
                to_device((q, k, v), device),
                grads=(0, 1, 2),
                forward=Work(num_flops=flops),
                backward=Work(num_flops=flops * 5 // 2),
            )


if __name__ == "__main__":
    main(groups)
