"""Gradients that have gradients: native backwards hand over to plain PyTorch here."""

from collections.abc import Callable

import torch
from torch import Tensor


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], cotangent: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of `function(*inputs)` on a graph, as `create_graph=True` asks for.

    Differentiates by aliases of the inputs: one of them may be an output of the very node whose
    backward calls this, and by itself the engine would enter that node again, and again.
    """
    with torch.enable_grad():
        sources = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in inputs]
        return torch.autograd.grad(function(*sources), sources, cotangent, create_graph=True)
