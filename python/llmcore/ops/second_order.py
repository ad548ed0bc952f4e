"""Gradients that have gradients: native backwards hand over to plain PyTorch here."""

from collections.abc import Callable

import torch
from torch import Tensor


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], cotangent: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of `function(*inputs)` on a graph, as `create_graph=True` asks for."""
    sources = [t if t.requires_grad else t.detach().requires_grad_() for t in inputs]
    with torch.enable_grad():
        return torch.autograd.grad(function(*sources), sources, cotangent, create_graph=True)
