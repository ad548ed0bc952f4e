"""adamw_ against torch.optim.AdamW, default and fused: `python -m benchmarks.ops.bench_adamw`.

`step` has gradients as they are; `clipped` also clips them by their common norm. With bfloat16
weights PyTorch steps float32 masters and copies: what a mixed-precision trainer writes. A step has
no backward.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.support.bench_op import main
from benchmarks.support.contender import Contender, to_device
from llmcore.ops import adamw_, global_norm
from llmcore.ops.cases import normal

Shapes = list[tuple[int, ...]]
BLOCK: Shapes = [(384, 384)] * 4 + [(1024, 384)] * 3 + [(384,)] * 2
# About the quickstart's weights; 64 MiB; a model of 8 blocks of an odd vocabulary; odd sizes.
MODELS: dict[str, Shapes] = {
    "28x128x384": [(128, 384)] * 28,
    "4x2048x2048": [(2048, 2048)] * 4,
    "model of 73": [(5003, 384), *BLOCK * 8],
    "50x1000x999": [(1000, 999)] * 50,
}
OPTIONS = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
Step = Callable[[], object]


def our_step(weights: list[Tensor], grads: list[Tensor], *, clips: bool) -> Step:
    exp_avgs, exp_avg_sqs = (
        [torch.zeros_like(w, dtype=torch.float32) for w in weights] for _ in "mv"
    )
    params = weights
    if weights[0].dtype != torch.float32:
        params = [(weight, weight.float()) for weight in weights]  # type: ignore[misc]

    def step() -> None:
        scale = min(1.0, 1.0 / (float(global_norm(grads)) + 1e-6)) if clips else 1.0
        adamw_(params, grads, exp_avgs, exp_avg_sqs, step=10, grad_scale=scale, **OPTIONS)

    return step


def their_step(weights: list[Tensor], grads: list[Tensor], *, clips: bool, fused: bool) -> Step:
    masters = [torch.nn.Parameter(weight.float().clone()) for weight in weights]
    narrow = weights[0].dtype != torch.float32
    for master, grad in zip(masters, grads, strict=True):
        master.grad = grad.float() if narrow else grad.clone()
    optimizer = torch.optim.AdamW(masters, fused=fused, foreach=not fused, **OPTIONS)
    wide = [master.grad for master in masters]

    def step() -> None:
        if narrow:
            torch._foreach_copy_(wide, grads)
        if clips:
            torch.nn.utils.clip_grad_norm_(masters, 1.0, foreach=True)
        optimizer.step()
        if narrow:
            with torch.no_grad():
                torch._foreach_copy_(weights, masters)

    return step


def groups(device: torch.device) -> Iterable[list[Contender]]:
    for name, shapes in MODELS.items():
        for dtype in (torch.float32, torch.bfloat16):
            weights = [normal(*s, dtype=dtype, seed=n) for n, s in enumerate(shapes)]
            grads = [normal(*s, dtype=dtype, seed=99 + n) / 100 for n, s in enumerate(shapes)]
            on_device = [list(to_device(tensors, device)) for tensors in (weights, grads)]
            # Reads weight, gradient and two moments; writes all but the gradient. With masters
            # the weight is written alone, and the master read and written.
            elements = sum(weight.numel() for weight in weights)
            num_bytes = elements * (28 if dtype == torch.float32 else 4 * 6 + 2 * 2)
            for what in ("step", "clipped"):
                runs = {
                    "llmcore": our_step(*on_device, clips=what == "clipped"),
                    "AdamW": their_step(*on_device, clips=what == "clipped", fused=False),
                    "AdamW(fused=True)": their_step(
                        *on_device, clips=what == "clipped", fused=True
                    ),
                }
                yield [
                    Contender(
                        group=f"{what} {str(dtype)[6:]} {name}",
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
