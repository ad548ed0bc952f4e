"""cross_entropy against F.cross_entropy on float32: `python -m benchmarks.ops.bench_cross_entropy`.

Both take the logits in their own dtype and give float32 losses. `extra MB` is without the results:
the losses and the gradient of the logits.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import cross_entropy
from llmcore.ops.cases import normal

# (N, V): the quickstart's (B = 2, T = 256), an odd vocabulary in the cache, GPT-2's, Llama 3's.
SHAPES = [(512, 2048), (1000, 1000), (512, 50257), (256, 128256)]


def upcast(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, reduction="none")


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for rows, vocab_size in SHAPES:
        labels = torch.arange(rows) * 7919 % vocab_size
        for dtype in (torch.float32, torch.bfloat16):
            logits = normal(rows, vocab_size, dtype=dtype)
            yield from passes(
                f"{str(dtype)[6:]} {rows}x{vocab_size}",
                {"llmcore": cross_entropy, "F.cross_entropy": upcast},
                to_device((logits, labels), device),
                grads=(0,),
                forward=Work(num_bytes=logits.nbytes, limit="read"),
                backward=Work(num_bytes=2 * logits.nbytes),
            )


if __name__ == "__main__":
    main(groups)
