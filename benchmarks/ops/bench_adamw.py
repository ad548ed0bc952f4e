"""adamw_ against torch.optim.AdamW, default and fused: `python -m benchmarks.ops.bench_adamw`.

In float32 alone, as the op's weights and moments are; a step has no backward.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, to_device
from llmcore.ops import adamw_
from llmcore.ops.cases import normal

# Name, shape of a weight, how many: about the quickstart's model, and 64 MiB of weights.
MODELS = [("28 weights 128x384", (128, 384), 28), ("4 weights 2048x2048", (2048, 2048), 4)]
OPTIONS = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}


def our_step(weights: tuple[Tensor, ...], grads: tuple[Tensor, ...]) -> Callable[[], object]:
    exp_avgs = [torch.zeros_like(weight) for weight in weights]
    exp_avg_sqs = [torch.zeros_like(weight) for weight in weights]
    return lambda: adamw_(weights, grads, exp_avgs, exp_avg_sqs, step=10, **OPTIONS)


def their_step(
    weights: tuple[Tensor, ...], grads: tuple[Tensor, ...], *, fused: bool | None
) -> Callable[[], object]:
    params = [torch.nn.Parameter(weight.clone()) for weight in weights]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    return torch.optim.AdamW(params, fused=fused, **OPTIONS).step


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for name, shape, count in MODELS:
        weights = to_device((normal(*shape, seed=n) for n in range(count)), device)
        grads = to_device((normal(*shape, seed=count + n) for n in range(count)), device)
        runs = {
            "llmcore": our_step(weights, grads),
            "AdamW(fused=True)": their_step(weights, grads, fused=True),
            "torch.optim.AdamW": their_step(weights, grads, fused=None),
        }
        # Reads weight, gradient and two moments; writes all but the gradient.
        num_bytes = 7 * sum(weight.nbytes for weight in weights)
        yield [
            Contender(
                group=f"step float32 {name}",
                name=who,
                run=run,
                device=device,
                num_bytes=num_bytes,
                allocates=False,
            )
            for who, run in runs.items()
        ]


if __name__ == "__main__":
    main(groups)
