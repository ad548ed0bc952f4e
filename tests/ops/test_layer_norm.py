"""layer_norm: the shared checks, stored numbers, outside witnesses, means far off, independence."""

import pytest
import torch
import torch.nn.functional as F

from llmcore.errors import DtypeError
from llmcore.ops import layer_norm, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.layer_norm.cases import SPEC
from llmcore.ops.layer_norm.pytorch import layer_norm_torch
from tests.support.check_op import OpChecks
from tests.support.norm_checks import (
    gradients_do_not_depend_on_threads,
    rows_do_not_depend_on_the_batch,
    second_derivatives_are_those_of,
)


class TestLayerNorm(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 3.1: biased variance, eps inside the root.
    got = layer_norm(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.ones(4), eps=1e-5)
    expected = [-1.341635419969, -0.447211806656, 0.447211806656, 1.341635419969]
    torch.testing.assert_close(got, torch.tensor(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize("cols", [1, 33, 1000])
def test_against_torch(cols: int) -> None:
    x, weight, bias = normal(7, cols), normal(cols, seed=1), normal(cols, seed=2)
    for given in (bias, None):
        expected = F.layer_norm(x, (cols,), weight, given, 1e-5)
        torch.testing.assert_close(layer_norm(x, weight, given), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(layer_norm_torch(x, weight, given), expected)


@pytest.mark.parametrize("mean", [1e4, -1e6])
@pytest.mark.parametrize("cols", [75, 1000, 4096])
def test_a_mean_far_above_the_deviation(mean: float, cols: int) -> None:
    x, weight, bias = normal(9, cols) + mean, normal(cols, seed=1), normal(cols, seed=2)
    truth = SPEC.reference(x.double(), weight.double(), bias.double())
    got = layer_norm(x, weight, bias)
    assert (got - truth).abs().max().item() <= 2e-6 * truth.abs().max().item()


def test_gradient_of_a_mean_far_above_the_deviation() -> None:
    x, weight, dy = normal(9, 1000) + 1e4, normal(1000, seed=1), normal(9, 1000, seed=3)
    found = []
    for call, dtype in ((layer_norm, torch.float32), (SPEC.reference, torch.float64)):
        leaves = [t.to(dtype).requires_grad_() for t in (x, weight)]
        found.append(torch.autograd.grad(call(*leaves), leaves, dy.to(dtype)))
    for got, truth in zip(*found, strict=True):
        assert (got - truth).abs().max().item() <= 2e-6 * truth.abs().max().item()


def test_shift_and_scale_of_the_input_change_nothing() -> None:
    x, ones = normal(5, 64), torch.ones(64)
    got = layer_norm(3 * x + 7, ones, eps=0.0)
    torch.testing.assert_close(got, layer_norm(x, ones, eps=0.0), rtol=1e-5, atol=1e-5)


def test_gradient_is_orthogonal_to_ones_and_to_the_normalised_row() -> None:
    x, ones, dy = normal(5, 64).requires_grad_(), torch.ones(64), normal(5, 64, seed=1)
    y = layer_norm(x, ones, eps=0.0)
    (dx,) = torch.autograd.grad(y, x, dy)
    zero = torch.zeros(5)
    torch.testing.assert_close(dx.sum(-1), zero, rtol=0, atol=1e-5)
    torch.testing.assert_close((dx * y.detach()).sum(-1), zero, rtol=0, atol=1e-5)


def test_a_constant_row_gives_the_bias() -> None:
    bias = normal(40, seed=2)
    for value in (0.0, 3.0, -1e4, 1e30):
        got = layer_norm(torch.full((1, 40), value), torch.ones(40), bias)
        assert torch.equal(got[0], bias)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cols", [192, 200, 1100])
def test_a_row_is_the_same_alone_and_in_any_batch(dtype: torch.dtype, cols: int) -> None:
    channels = [normal(cols, dtype=dtype, seed=seed) for seed in (1, 2)]
    rows_do_not_depend_on_the_batch(layer_norm, [normal(32, cols, dtype=dtype)], channels)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    args = [normal(700, 257), normal(257, seed=1), normal(257, seed=2)]
    gradients_do_not_depend_on_threads(layer_norm, args)


@pytest.mark.parametrize("cols", [256, 250])
def test_large_outputs_written_around_the_cache(cols: int) -> None:
    args = [normal(40_000, cols), normal(cols, seed=1), normal(cols, seed=2)]
    found = []
    for call in (layer_norm, SPEC.reference):
        leaves = [arg.clone().requires_grad_() for arg in args]
        y = call(*leaves)
        found.append((y, *torch.autograd.grad(y, leaves, args[0].cos())))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-2 if got.dim() == 1 else 1e-5)


def test_second_derivatives() -> None:
    args = [normal(3, 17), normal(17, seed=1), normal(17, seed=2)]
    second_derivatives_are_those_of(layer_norm, SPEC.reference, args)
    second_derivatives_are_those_of(layer_norm, SPEC.reference, args[:2])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_number_stays_in_its_row(value: float) -> None:
    x, weight = normal(6, 40), normal(40, seed=1)
    clean = layer_norm(x, weight)
    x[3, 7] = value
    got = layer_norm(x, weight)
    torch.testing.assert_close(got, SPEC.reference(x, weight), equal_nan=True)
    kept = [0, 1, 2, 4, 5]
    assert torch.equal(got[kept], clean[kept])


def test_backward_op_is_registered() -> None:
    x, weight = normal(3, 8), normal(8, seed=2)
    for with_bias in (True, False):
        args = (normal(3, 8, seed=1), x, weight, with_bias, 1e-5)
        torch.library.opcheck(torch.ops.llmcore.layer_norm_backward.default, args)


def test_float64_is_for_the_reference_alone() -> None:
    x, weight = normal(2, 8).double(), normal(8).double()
    expected = "layer_norm: x must be float32, bfloat16 or float16, got float64"
    with use_backend("native"), pytest.raises(DtypeError) as raised:
        layer_norm(x, weight)
    assert str(raised.value) == expected


def test_dispatcher_checks_arguments_itself() -> None:
    x, weight = normal(3, 8), normal(8)
    for bias in (normal(7), normal(8, 1), weight.bfloat16()):
        with pytest.raises(RuntimeError, match="layer_norm: bias must be "):
            torch.ops.llmcore.layer_norm_no_grad(x, weight, bias, 1e-5)
    with pytest.raises(RuntimeError, match="layer_norm: dy must be "):
        torch.ops.llmcore.layer_norm_backward(normal(3, 7), x, weight, True, 1e-5)
