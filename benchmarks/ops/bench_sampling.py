"""sample against softmax and torch.multinomial with the usual top-k and top-p in PyTorch:
`python -m benchmarks.ops.bench_sampling`. Drawing has no backward."""

from collections.abc import Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender
from llmcore.ops import sample
from llmcore.ops.cases import normal

# (B, V): the quickstart's batch of prompts, and a large vocabulary.
SHAPES = [(64, 2048), (8, 131072)]
TRUNCATIONS = [(0, 1.0), (50, 0.9)]  # (top_k, top_p)


def multinomial(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """In float32, with the generator's state: the draws of a row depend on its batch."""
    scores = logits.float() / 0.8
    if top_k:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1:
        ranked, order = scores.sort(descending=True)
        probs = ranked.softmax(dim=-1)
        drop = probs.cumsum(dim=-1) - probs >= top_p
        scores = scores.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -torch.inf)
    return torch.multinomial(scores.softmax(dim=-1), 1).squeeze(-1)


def group(logits: Tensor, top_k: int, top_p: float) -> list[Contender]:
    rows = torch.arange(logits.shape[0], device=logits.device)
    options = {"temperature": 0.8, "top_k": top_k, "top_p": top_p, "seeds": rows, "positions": rows}
    runs = {
        "llmcore": lambda: sample(logits, **options),
        "torch.multinomial": lambda: multinomial(logits, top_k, top_p),
    }
    shape = "x".join(map(str, logits.shape))
    what = f"{str(logits.dtype)[6:]} {shape} top_k {top_k} top_p {top_p}"
    return [
        Contender(group=what, name=who, run=run, device=logits.device) for who, run in runs.items()
    ]


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            logits = normal(*shape, dtype=dtype).to(device)
            for top_k, top_p in TRUNCATIONS:
                yield group(logits, top_k, top_p)


if __name__ == "__main__":
    main(groups)
