"""add_rms_norm against the sum and F.rms_norm: `python -m benchmarks.ops.bench_add_rms_norm`.

The backward is that of the norm alone, as in the last block, where nothing reads the sum.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import add_rms_norm
from llmcore.ops.cases import normal

# A 64 MiB float32 tensor that no cache holds, an odd width, and activations that a cache holds.
SHAPES = [(16384, 1024), (16000, 1000), (8192, 192), (512, 128)]


def ours(x: Tensor, residual: Tensor, weight: Tensor) -> Tensor:
    return add_rms_norm(x, residual, weight, eps=1e-6)[0]


def theirs(x: Tensor, residual: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x + residual, weight.shape, weight, 1e-6)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, cols in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            x = normal(rows, cols, dtype=dtype)
            residual = normal(rows, cols, dtype=dtype, seed=2)
            weight = normal(cols, dtype=dtype, seed=1)
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{cols}",
                {"llmcore": ours, "sum, F.rms_norm": theirs},
                to_device((x, residual, weight), device),
                grads=(0, 1, 2),
                forward=Work(num_bytes=4 * x.nbytes),
                backward=Work(num_bytes=3 * x.nbytes),
            )


if __name__ == "__main__":
    main(groups)
