"""Checks that the four norms share: rows in any batch, thread counts, second derivatives."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.support.check_op import tensors_of


def rows_do_not_depend_on_the_batch(
    call: Callable[..., object], rows: Sequence[Tensor], channels: Sequence[Tensor]
) -> None:
    """Each of 32 rows must come out bit for bit the same in every batch size and thread count."""
    before = torch.get_num_threads()
    try:
        together = tensors_of(call(*rows, *channels))
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            for size in range(1, 33):
                some = tensors_of(call(*(row[32 - size : 32] for row in rows), *channels))
                for got, expected in zip(some, together, strict=True):
                    assert torch.equal(got, expected[32 - size : 32]), (num_threads, size)
    finally:
        torch.set_num_threads(before)


def gradients_do_not_depend_on_threads(call: Callable[..., object], args: Sequence[Tensor]) -> None:
    """Outputs and all gradients must be bit for bit the same for 1, 2, 3 and 5 threads."""
    leaves = [arg.clone().requires_grad_() for arg in args]
    found = []
    before = torch.get_num_threads()
    try:
        for num_threads in (1, 2, 3, 5):
            torch.set_num_threads(num_threads)
            outs = tensors_of(call(*leaves))
            found.append([*outs, *torch.autograd.grad([out.sin().sum() for out in outs], leaves)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def second_derivatives_are_those_of(
    call: Callable[..., object], reference: Callable[..., object], args: Sequence[Tensor]
) -> None:
    """Gradients of a function of gradients, against the reference in float64."""

    def slopes(function: Callable[..., object], dtype: torch.dtype) -> tuple[Tensor, ...]:
        leaves = [arg.to(dtype).requires_grad_() for arg in args]
        outs = tensors_of(function(*leaves))
        value = torch.stack([out.sin().sum() for out in outs]).sum()
        first = torch.autograd.grad(value, leaves, create_graph=True)
        second = torch.stack([grad.square().sum() for grad in first]).sum()
        return torch.autograd.grad(second, leaves)

    got, truth = slopes(call, torch.float32), slopes(reference, torch.float64)
    for mine, exact in zip(got, truth, strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=1e-4, atol=1e-4)
