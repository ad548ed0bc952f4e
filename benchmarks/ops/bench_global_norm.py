"""global_norm against torch.nn.utils.get_total_norm: `python -m benchmarks.ops.bench_global_norm`.

get_total_norm of bfloat16 sums in float32 and rounds the norms of the tensors to bfloat16.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.ops.bench_adamw import MODELS
from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, to_device
from llmcore.ops import global_norm
from llmcore.ops.cases import normal


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for name, shapes in MODELS.items():
        for dtype in (torch.float32, torch.bfloat16):
            drawn = (normal(*shape, dtype=dtype, seed=n) for n, shape in enumerate(shapes))
            tensors = list(to_device(drawn, device))

            def ours(tensors: list[Tensor] = tensors) -> Tensor:
                return global_norm(tensors)

            def theirs(tensors: list[Tensor] = tensors) -> Tensor:
                return torch.nn.utils.get_total_norm(tensors, foreach=True)

            runs: dict[str, Callable[[], object]] = {"llmcore": ours, "get_total_norm": theirs}
            yield [
                Contender(
                    group=f"forward {str(dtype)[6:]} {name}",
                    name=who,
                    run=run,
                    device=device,
                    num_bytes=sum(tensor.nbytes for tensor in tensors),
                    limit="read",
                )
                for who, run in runs.items()
            ]


if __name__ == "__main__":
    main(groups)
