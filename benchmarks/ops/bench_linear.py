"""linear over packed weights against F.linear: `python -m benchmarks.ops.bench_linear`.

The baseline of a group is F.linear with the weight in the dtype of x. Up to 16 rows count bytes,
those of the weight in the group's format; all count floating-point operations.
"""

from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender
from llmcore.ops import linear, pack_linear
from llmcore.ops.cases import normal
from llmcore.ops.linear import PackedLinear

FORMATS = ("float32", "bfloat16", "int8", "int4")
# in, out, rows: a weight that no cache holds (64 MiB in float32), a vocabulary, odd and small ones.
SHAPES = [
    (4096, 4096, (1, 2, 4, 8, 16, 32, 64, 256, 1024)),
    (1000, 50_257, (1, 8, 64)),
    (80, 1, (1, 4096)),
    (256, 640, (1, 64)),
]
FEW_ROWS = 16


def ours(x: Tensor, packed: PackedLinear) -> Tensor:
    with torch.no_grad():
        return linear(x, packed)


def theirs(x: Tensor, weight: Tensor) -> Tensor:
    with torch.no_grad():
        return F.linear(x, weight)


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for in_size, out_size, rows_list in SHAPES:
        weight = normal(out_size, in_size) / in_size**0.5
        for kind in FORMATS:
            packed = pack_linear(weight, format=kind).to(device)
            for dtype in (torch.float32, torch.bfloat16):
                plain = weight.to(device, dtype)
                for rows in rows_list:
                    x = normal(rows, in_size, dtype=dtype).to(device)
                    make = partial(
                        Contender,
                        group=f"{str(dtype)[6:]} x {kind} {rows} rows {in_size}->{out_size}",
                        device=device,
                        num_bytes=packed.num_bytes() if rows <= FEW_ROWS else 0,
                        num_flops=2 * rows * in_size * out_size,
                        allocates=False,
                    )
                    yield [
                        make(name="llmcore", run=partial(ours, x, packed)),
                        make(name=f"F.linear {str(dtype)[6:]}", run=partial(theirs, x, plain)),
                    ]


if __name__ == "__main__":
    main(groups)
