"""swiglu against F.silu(gate) * up in PyTorch: `python -m benchmarks.ops.bench_swiglu`."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import swiglu
from llmcore.ops.cases import normal

# (N, F): the quickstart's feed-forward (B = 2, T = 256), 64 MiB of float32 a tensor, LLaMA-7B's
# width, and an odd one.
SHAPES = [(512, 384), (8192, 2048), (1000, 11008), (4000, 1001)]


def silu_times_up(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, cols in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            gate, up = normal(rows, cols, dtype=dtype), normal(rows, cols, dtype=dtype, seed=1)
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{cols}",
                {"llmcore": swiglu, "F.silu(gate) * up": silu_times_up},
                to_device((gate, up), device),
                grads=(0, 1),
                forward=Work(num_bytes=3 * gate.nbytes),
                backward=Work(num_bytes=5 * gate.nbytes),
            )


if __name__ == "__main__":
    main(groups)
