"""layer_norm against F.layer_norm: `python -m benchmarks.ops.bench_layer_norm`."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import layer_norm
from llmcore.ops.cases import normal

# A 64 MiB float32 tensor that no cache holds, an odd width, and activations that a cache holds.
SHAPES = [(16384, 1024), (16000, 1000), (8192, 192), (512, 128)]


def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm(x, weight, bias, eps=1e-5)


def theirs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias, 1e-5)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, cols in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            x = normal(rows, cols, dtype=dtype)
            channels = [normal(cols, dtype=dtype, seed=seed) for seed in (1, 2)]
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{cols}",
                {"llmcore": ours, "F.layer_norm": theirs},
                to_device((x, *channels), device),
                grads=(0, 1, 2),
                forward=Work(num_bytes=2 * x.nbytes),
                backward=Work(num_bytes=3 * x.nbytes),
            )


if __name__ == "__main__":
    main(groups)
