"""rms_norm against torch.nn.functional.rms_norm: `python -m benchmarks.ops.bench_rms_norm`."""

import torch
import torch.nn.functional as F

from benchmarks.support.bench_op import Contender, main
from llmcore.ops import rms_norm
from llmcore.ops.cases import normal

# A 64 MiB float32 tensor that no cache holds, and a quickstart activation that the cache holds.
SHAPES = [(16384, 1024), (8192, 192)]
EPS = 1e-6


def group(rows: int, cols: int, dtype: torch.dtype, *, backward: bool) -> list[Contender]:
    x, weight, dy = normal(rows, cols, dtype=dtype), normal(cols, dtype=dtype), normal(rows, cols)
    dy = dy.to(dtype)
    x.requires_grad_(backward)
    weight.requires_grad_(backward)
    num_bytes = x.numel() * x.element_size() * (3 if backward else 2)
    name = f"{'backward' if backward else 'forward'} {str(dtype)[6:]} {rows}x{cols}"
    ours, theirs = rms_norm(x, weight, eps=EPS), F.rms_norm(x, (cols,), weight, EPS)
    if backward:

        def run_ours() -> object:
            return torch.autograd.grad(ours, (x, weight), dy, retain_graph=True)

        def run_theirs() -> object:
            return torch.autograd.grad(theirs, (x, weight), dy, retain_graph=True)

    else:

        def run_ours() -> object:
            return rms_norm(x, weight, eps=EPS)

        def run_theirs() -> object:
            return F.rms_norm(x, (cols,), weight, EPS)

    return [
        Contender(group=name, name="llmcore", run=run_ours, num_bytes=num_bytes),
        Contender(group=name, name="torch F.rms_norm", run=run_theirs, num_bytes=num_bytes),
    ]


def groups() -> list[list[Contender]]:
    return [
        group(rows, cols, dtype, backward=backward)
        for rows, cols in SHAPES
        for dtype in (torch.float32, torch.bfloat16)
        for backward in (False, True)
    ]


if __name__ == "__main__":
    main(groups)
