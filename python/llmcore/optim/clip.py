"""The common norm of all gradients, and the factor that keeps it below a bound."""

from collections.abc import Iterable

import torch
from torch import Tensor

from llmcore.ops import global_norm


def grad_norm(parameters: Iterable[Tensor]) -> float:
    """Euclidean norm over all gradients together; parameters without one are passed over.

    Args:
        parameters: Their gradients are only read.

    Numerics: float64 squares and sums; a gradient that is not finite shows.
    """
    return float(global_norm([param.grad for param in parameters if param.grad is not None]))


def clip_scale(norm: float, max_norm: float) -> float:
    r"""Factor of the gradients that brings their norm down to at most `max_norm`.

        scale = min(1, max_norm / (norm + 1e-6))

    `AdamW.step(grad_scale=...)` multiplies by it inside its own pass.

    Args:
        norm: Of all gradients together; one that is not finite leaves them without meaning.
        max_norm: Bound on the norm.

    Source: Pascanu et al. 2013, arXiv:1211.5063; the 1e-6 is PyTorch's.
    """
    return min(1.0, max_norm / (norm + 1e-6))


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale gradients in place to at most `max_norm`; return the norm before.

    A step of `AdamW` that is given `clip_scale` does the same without this pass.

    Args:
        parameters: Those without a gradient are passed over.
        max_norm: Bound on the Euclidean norm over all gradients together.
    """
    params = [param for param in parameters if param.grad is not None]
    norm = grad_norm(params)
    grads = [param.grad for param in params if param.grad is not None]
    if grads:
        torch._foreach_mul_(grads, clip_scale(norm, max_norm))
    return norm
