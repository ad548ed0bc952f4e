"""relu2 against x.relu().square() in PyTorch: `python -m benchmarks.ops.bench_relu2`."""

from collections.abc import Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import relu2
from llmcore.ops.cases import normal

# (N, F): the quickstart's feed-forward (B = 2, T = 256), 64 MiB of float32 a tensor, LLaMA-7B's
# width, and an odd one.
SHAPES = [(512, 384), (8192, 2048), (1000, 11008), (4000, 1001)]


def relu_squared(x: Tensor) -> Tensor:
    return x.relu().square()


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, cols in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            x = normal(rows, cols, dtype=dtype)
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{cols}",
                {"llmcore": relu2, "x.relu().square()": relu_squared},
                to_device((x,), device),
                grads=(0,),
                forward=Work(num_bytes=2 * x.nbytes),
                backward=Work(num_bytes=3 * x.nbytes),
            )


if __name__ == "__main__":
    main(groups)
