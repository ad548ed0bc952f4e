"""What a benchmark compares: implementations of one op, forward and backward."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One implementation under the clock."""

    group: str
    """What is computed, `[OP] PASS DTYPE SHAPE`, e.g. `forward float32 16384x1024`: rows of one
    group compare. Without OP it is that of the file's name."""
    name: str
    """Ours is `llmcore`, or starts with it."""
    run: Callable[[], object]
    device: torch.device
    num_bytes: int = 0
    """Bytes that any implementation must read and write; 0 if arithmetic bounds the op."""
    num_flops: int = 0
    """Floating-point operations that any implementation must do; 0 if memory bounds the op."""
    limit: str = ""
    """What bounds it: `copy`, `read` or `flops`; empty: `copy` if there are bytes, else `flops`."""
    allocates: bool = True
    """Whether a call makes its result: the yardstick then does so too, and the tensors that `run`
    returns do not count as extra memory."""

    def bound(self) -> str:
        return self.limit or ("copy" if self.num_bytes else "flops")


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one pass must do at least: bytes moved, or floating-point operations, or both."""

    num_bytes: int = 0
    num_flops: int = 0
    limit: str = ""
    """As in `Contender`."""


def to_device(tensors: Iterable[Tensor], device: torch.device) -> tuple[Tensor, ...]:
    return tuple(tensor.to(device) for tensor in tensors)


def passes(
    what: str,
    calls: dict[str, Callable[..., Tensor]],
    args: tuple[Tensor, ...],
    *,
    grads: tuple[int, ...],
    forward: Work,
    backward: Work,
) -> Iterable[list[Contender]]:
    """Yield the forward group and the backward group of `calls`; the last call is the baseline.

    `grads` are the positions of the arguments that have a gradient. The forward runs without a
    graph, as in evaluation; the backward runs alone, on a graph that is kept.
    """
    device = args[0].device

    def group(name: str, runs: dict[str, Callable[[], object]], work: Work) -> list[Contender]:
        return [
            Contender(
                group=f"{name} {what}",
                name=who,
                run=run,
                device=device,
                num_bytes=work.num_bytes,
                num_flops=work.num_flops,
                limit=work.limit,
            )
            for who, run in runs.items()
        ]

    yield group("forward", {who: _forward(call, args) for who, call in calls.items()}, forward)
    leaves = [arg.detach().requires_grad_(idx in grads) for idx, arg in enumerate(args)]
    backwards = {who: _backward(call, leaves) for who, call in calls.items()}
    yield group("backward", backwards, backward)


def _forward(call: Callable[..., Tensor], args: tuple[Tensor, ...]) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return call(*args)

    return run


def _backward(call: Callable[..., Tensor], leaves: list[Tensor]) -> Callable[[], object]:
    out = call(*leaves)
    cotangent = torch.ones_like(out).contiguous()
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return lambda: torch.autograd.grad(out, wanted, cotangent, retain_graph=True)
