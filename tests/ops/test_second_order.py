"""differentiable_gradients: values, a graph on the result, and outputs of a node as inputs."""

import torch

from llmcore.ops import add_rms_norm
from llmcore.ops.cases import normal
from llmcore.ops.second_order import differentiable_gradients


def test_gradients_have_gradients() -> None:
    x = normal(4).double().requires_grad_()
    factor = normal(4, seed=1).double()
    first, second = differentiable_gradients(lambda a, b: a**3 * b, (x, factor), torch.ones(4))
    torch.testing.assert_close(first, 3 * x**2 * factor)
    torch.testing.assert_close(second, x**3)
    (twice,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(twice, 6 * x.detach() * factor)


def test_an_output_of_the_node_itself_may_be_an_input() -> None:
    # add_rms_norm saves its output h: without an alias the engine enters its node without end.
    x, residual, weight = (normal(3, 8, seed=s).requires_grad_() for s in range(3))
    y, h = add_rms_norm(x, residual, weight[0])
    (dx,) = torch.autograd.grad(y.square().sum() + h.sum(), x, create_graph=True)
    (twice,) = torch.autograd.grad(dx.square().sum(), x)
    assert torch.isfinite(twice).all()
