"""rope_ against the same rotation in place in PyTorch: `python -m benchmarks.ops.bench_rope_`."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from benchmarks.ops.bench_rope import SHAPES
from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, to_device
from llmcore.ops import rope_
from llmcore.ops.cases import normal
from llmcore.ops.rope.cases import tables


def rotate_half_(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    cos, sin = cos.to(x.dtype)[:, None], sin.to(x.dtype)[:, None]
    low, high = x[..., : 2 * cos.shape[-1]].chunk(2, dim=-1)
    old = low.clone()
    low.mul_(cos).addcmul_(high, sin, value=-1)
    high.mul_(cos).addcmul_(old, sin)
    return x


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for *shape, rotated in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            table = tables(torch.arange(shape[1]), rotated)
            x, cos, sin = to_device((normal(*shape, dtype=dtype), *table), device)
            part = f":{rotated}" if rotated < shape[-1] else ""
            yield [
                Contender(
                    group=f"forward {str(dtype)[6:]} {'x'.join(map(str, shape))}{part}",
                    name=name,
                    run=partial(call, x, cos, sin),
                    device=device,
                    num_bytes=2 * x.nbytes + cos.nbytes + sin.nbytes,
                    allocates=False,
                )
                for name, call in (("llmcore", rope_), ("rotate_half_", rotate_half_))
            ]


if __name__ == "__main__":
    main(groups)
