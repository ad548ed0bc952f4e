"""add_layer_norm against the sum and F.layer_norm: `... -m benchmarks.ops.bench_add_layer_norm`.

DeepNorm's step: nothing reads the sum; the backward has two results, one of them scaled.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import add_layer_norm
from llmcore.ops.cases import normal

ALPHA = 2.2133638  # 12 layers
# A 64 MiB float32 tensor that no cache holds, an odd width, and activations that a cache holds.
SHAPES = [(16384, 1024), (16000, 1000), (8192, 192), (512, 128)]


def ours(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return add_layer_norm(x, residual, weight, bias, eps=1e-5, residual_scale=ALPHA)[0]


def theirs(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    h = torch.add(x, residual, alpha=ALPHA)
    return F.layer_norm(h, weight.shape, weight, bias, 1e-5)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, cols in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            x = normal(rows, cols, dtype=dtype)
            residual = normal(rows, cols, dtype=dtype, seed=3)
            channels = [normal(cols, dtype=dtype, seed=seed) for seed in (1, 2)]
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{cols}",
                {"llmcore": ours, "sum, F.layer_norm": theirs},
                to_device((x, residual, *channels), device),
                grads=(0, 1, 2, 3),
                forward=Work(num_bytes=4 * x.nbytes),
                backward=Work(num_bytes=4 * x.nbytes),
            )


if __name__ == "__main__":
    main(groups)
