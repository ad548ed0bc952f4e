"""sample against the usual chain in PyTorch (sort, softmax, running sum, torch.multinomial):
`python -m benchmarks.ops.bench_sampling`. Drawing has no backward.

The logits are normal with a standard deviation of 2: flatter than a trained model's, so that top-p
keeps thousands of tokens; that is the slow case for llmcore and makes no difference to a sort.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender
from llmcore.ops import LogitEdits, Logprobs, Penalties, sample
from llmcore.ops.cases import normal

SHAPES = [(1, 128_256), (8, 128_256), (1, 50_257), (8, 50_257), (64, 32_000), (64, 2_048)]
CHAINS: dict[str, dict[str, Any]] = {
    "plain": {},
    "top_k 50": {"top_k": 50},
    "top_p 0.9": {"top_p": 0.9},
    "top_k 50 top_p 0.9": {"top_k": 50, "top_p": 0.9},
    "min_p 0.05": {"min_p": 0.05},
    "all": {"top_k": 50, "top_p": 0.9, "min_p": 0.05, "penalties": True},
}
HISTORY = 512  # tokens that penalties look at


def multinomial(
    logits: Tensor,
    history: Tensor,
    *,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    penalties: bool = False,
) -> Tensor:
    """In float32, with the generator's state: the draws of a row depend on its batch."""
    scores = logits.float()
    if penalties:
        seen = scores.gather(1, history)
        scores = scores.scatter(1, history, torch.where(seen > 0, seen / 1.1, seen * 1.1))
        counts = torch.zeros_like(scores).scatter_add_(1, history, torch.ones_like(seen))
        scores = scores - 0.1 * counts - 0.1 * (counts > 0)
    scores = scores / 0.8
    if top_k:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1:
        ranked, order = scores.sort(descending=True)
        probs = ranked.softmax(dim=-1)
        drop = probs.cumsum(dim=-1) - probs >= top_p
        scores = scores.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -torch.inf)
    probs = scores.softmax(dim=-1)
    if min_p > 0:
        probs = probs.masked_fill(probs < min_p * probs.amax(dim=-1, keepdim=True), 0.0)
    chosen = torch.multinomial(probs, 1).squeeze(-1)
    if penalties:
        logits.float().log_softmax(dim=-1).topk(20)
    return chosen


def group(logits: Tensor, name: str) -> list[Contender]:
    num_rows, vocab_size = logits.shape
    rows = torch.arange(num_rows, device=logits.device)
    history = (7919 * torch.arange(num_rows * HISTORY, device=logits.device)) % vocab_size
    history = history.reshape(num_rows, HISTORY)
    chain = CHAINS[name]
    options: dict[str, Any] = {key: value for key, value in chain.items() if key != "penalties"}
    if chain.get("penalties"):
        lens = torch.full_like(rows, HISTORY)
        found = Penalties(
            history=history,
            prompt_lens=torch.zeros_like(rows),
            lens=lens,
            repetition=1.1,
            frequency=0.1,
            presence=0.1,
        )
        options |= {"edits": LogitEdits(penalties=found), "logprobs": Logprobs(num=20)}
    options |= {"temperature": 0.8, "seeds": rows, "positions": rows}
    runs = {
        "llmcore": lambda: sample(logits, **options),
        "torch.multinomial": lambda: multinomial(logits, history, **chain),
    }
    what = f"{name} {str(logits.dtype)[6:]} {num_rows}x{vocab_size}"
    return [
        Contender(
            group=what,
            name=who,
            run=run,
            device=logits.device,
            num_bytes=logits.numel() * logits.element_size(),
            limit="read",
        )
        for who, run in runs.items()
    ]


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            logits = (2 * normal(*shape)).to(dtype).to(device)
            for name in CHAINS:
                yield group(logits, name)


if __name__ == "__main__":
    main(groups)
