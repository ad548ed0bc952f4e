"""add_rms_norm: the shared checks, equality with the two ops it fuses, its optional gradients."""

import pytest
import torch
from torch import Tensor

from llmcore.ops import add_rms_norm, rms_norm
from llmcore.ops.add_rms_norm.cases import SPEC
from llmcore.ops.add_rms_norm.pytorch import add_rms_norm_torch
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks
from tests.support.norm_checks import (
    gradients_do_not_depend_on_threads,
    rows_do_not_depend_on_the_batch,
    second_derivatives_are_those_of,
)

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def arguments(rows: int, cols: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    x, residual = normal(rows, cols, dtype=dtype), normal(rows, cols, dtype=dtype, seed=2)
    return [x, residual, normal(cols, dtype=dtype, seed=1)]


class TestAddRmsNorm(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 3.2 on h = 2 * residual + x = (1, 2, 3, 4).
    residual = torch.tensor([0.25, 0.5, 0.75, 1.0])
    y, h = add_rms_norm(2 * residual, residual, torch.ones(4), eps=1e-6, residual_scale=2.0)
    assert h.tolist() == [1.0, 2.0, 3.0, 4.0]
    expected = [0.365148347327, 0.730296694654, 1.095445041981, 1.460593389308]
    torch.testing.assert_close(y, torch.tensor(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [9, 20_011])
def test_is_the_two_ops_one_after_the_other(dtype: torch.dtype, rows: int) -> None:
    # 20,011 rows of 1,000: written around the cache, through the staging rows.
    x, residual, weight = arguments(rows, 1000 if rows > 9 else 75, dtype)
    y, h = add_rms_norm(x, residual, weight, offset=1.0)
    assert torch.equal(h, x + residual)
    assert torch.equal(y, rms_norm(h, weight, offset=1.0))


def test_torch_backend_agrees() -> None:
    x, residual, weight = arguments(5, 40)
    options = {"eps": 1e-5, "residual_scale": 1.7, "offset": 1.0}
    for got, expected in zip(
        add_rms_norm_torch(x, residual, weight, **options),
        SPEC.reference(x, residual, weight, **options),
        strict=True,
    ):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_gradients_where_an_output_is_not_used(scale: float, used: tuple[int, ...]) -> None:
    found = []
    for call in (add_rms_norm, SPEC.reference):
        leaves = [arg.requires_grad_() for arg in arguments(6, 40)]
        outs = call(*leaves, residual_scale=scale)
        wanted = [outs[idx] for idx in used]
        grads = torch.autograd.grad(
            wanted, leaves, [out.detach().cos() for out in wanted], allow_unused=True
        )
        found.append([torch.zeros(40) if grad is None else grad for grad in grads])
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)


def test_gradients_are_not_one_tensor_in_two_places() -> None:
    # With scale 1 both get the same values; a step on one must not move the other.
    x, residual, weight = (arg.requires_grad_() for arg in arguments(3, 16))
    add_rms_norm(x, residual, weight)[0].sum().backward()
    assert x.grad is not None and residual.grad is not None
    kept = residual.grad.clone()
    x.grad.zero_()
    assert torch.equal(residual.grad, kept)


@pytest.mark.parametrize("cols", [192, 1100])
def test_a_row_is_the_same_alone_and_in_any_batch(cols: int) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x, residual, weight = arguments(32, cols, dtype)
        rows_do_not_depend_on_the_batch(add_rms_norm, [x, residual], [weight])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    gradients_do_not_depend_on_threads(add_rms_norm, arguments(700, 257))


def test_large_gradients_written_around_the_cache() -> None:
    found = []
    for call in (add_rms_norm, SPEC.reference):
        leaves = [arg.requires_grad_() for arg in arguments(40_001, 250)]
        y, h = call(*leaves, residual_scale=0.5)
        found.append(torch.autograd.grad(y.cos().sum() + h.sin().sum(), leaves))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-3 if got.dim() == 1 else 1e-5)


def test_second_derivatives() -> None:
    second_derivatives_are_those_of(add_rms_norm, SPEC.reference, arguments(3, 17))


def test_backward_op_is_registered() -> None:
    x, residual, weight = arguments(3, 8)
    op = torch.ops.llmcore.add_rms_norm_backward.default
    torch.library.opcheck(op, (x, residual, x, weight, 1e-6, 2.0, 1.0))
    torch.library.opcheck(op, (x, x.new_empty(0), x, weight, 1e-6, 1.0, 0.0))


def test_dispatcher_checks_shapes_itself() -> None:
    x, residual, weight = arguments(4, 6)
    options = (1e-6, 1.0, 0.0)
    for bad in (residual[:2], residual.reshape(2, 2, 6), residual.bfloat16()):
        with pytest.raises(RuntimeError, match="add_rms_norm: residual must be "):
            torch.ops.llmcore.add_rms_norm_no_grad(x, bad, weight, *options)
        with pytest.raises(RuntimeError, match="add_rms_norm: dh must be "):
            torch.ops.llmcore.add_rms_norm_backward(x, bad, x, weight, *options)
