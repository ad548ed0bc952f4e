"""linear_cross_entropy against F.cross_entropy of F.linear, forward and backward together:
`python -m benchmarks.ops.bench_linear_cross_entropy`.

The baseline rounds logits to the dtype and keeps log-softmax in it; `upcast` is what trainers do in
bfloat16. `extra MB` is without the gradients that a call returns, of hidden and weight.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, to_device
from llmcore.ops import linear_cross_entropy
from llmcore.ops.cases import normal

# (N, C, V): the quickstart's, an odd one, GPT-2's vocabulary, Llama 3's.
SHAPES = [
    (512, 192, 2048),
    (1000, 1000, 1000),
    (1000, 1000, 50257),
    (1024, 512, 128256),
    (2048, 192, 128256),
]
Call = Callable[[Tensor, Tensor, Tensor], Tensor]


def ours(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return linear_cross_entropy(hidden, weight, labels)[0]


def upcast(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight).float(), labels, reduction="sum")


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), labels, reduction="sum")


def training(call: Call, hidden: Tensor, weight: Tensor, labels: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(call(hidden, weight, labels), (hidden, weight))


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, width, vocab_size in SHAPES:
        labels = torch.arange(rows) * 7919 % vocab_size
        for dtype in (torch.float32, torch.bfloat16):
            hidden = normal(rows, width, dtype=dtype)
            weight = normal(vocab_size, width, dtype=dtype, seed=1) / 16
            args = to_device((hidden, weight, labels), device)
            for tensor in args[:2]:
                tensor.requires_grad_()
            calls: dict[str, Call] = {"llmcore": ours}
            if dtype != torch.float32:
                calls["F.cross_entropy upcast"] = upcast
            calls["F.cross_entropy"] = plain
            yield [
                Contender(
                    group=f"train {str(dtype)[6:]} {rows}x{width}x{vocab_size}",
                    name=name,
                    run=training(call, *args),
                    device=device,
                    num_flops=3 * 2 * rows * width * vocab_size,
                )
                for name, call in calls.items()
            ]


if __name__ == "__main__":
    main(groups)
