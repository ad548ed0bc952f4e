"""rope against the usual rotate_half in PyTorch: `python -m benchmarks.ops.bench_rope`."""

from collections.abc import Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, Work, passes, to_device
from llmcore.ops import rope
from llmcore.ops.cases import normal
from llmcore.ops.rope.cases import tables

# (B, T, H, D, rotated channels): the quickstart's queries, 64 MiB of float32, odd, GPT-J's partial.
SHAPES = [(2, 256, 4, 32, 32), (2, 2048, 32, 128, 128), (1, 1000, 32, 80, 80)]
SHAPES += [(1, 1000, 16, 256, 64)]


def rotate_half(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The form of the Hugging Face models: tables of full width, in the dtype of x."""
    cos, sin = (torch.cat((table, table), dim=-1).to(x.dtype)[:, None] for table in (cos, sin))
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    low, high = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat((-high, low), dim=-1) * sin
    return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for *shape, rotated in SHAPES:
        cos, sin = tables(torch.arange(shape[1]), rotated)
        for dtype in (torch.float32, torch.bfloat16):
            x = normal(*shape, dtype=dtype)
            work = Work(num_bytes=2 * x.nbytes + cos.nbytes + sin.nbytes)
            part = f":{rotated}" if rotated < shape[-1] else ""
            yield from passes(
                f"{str(dtype)[6:]} {'x'.join(map(str, shape))}{part}",
                {"llmcore": rope, "rotate_half": rotate_half},
                to_device((x, cos, sin), device),
                grads=(0,),
                forward=work,
                backward=work,
            )


if __name__ == "__main__":
    main(groups)
