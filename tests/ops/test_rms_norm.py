"""rms_norm: the shared checks, stored numbers, outside witnesses; batch, threads, bad numbers."""

import pytest
import torch
from torch import Tensor, nn

from llmcore.errors import DtypeError
from llmcore.ops import rms_norm, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.rms_norm.cases import SPEC
from llmcore.ops.rms_norm.reference import rms_channels
from tests.support.check_op import OpChecks
from tests.support.norm_checks import (
    gradients_do_not_depend_on_threads,
    rows_do_not_depend_on_the_batch,
    second_derivatives_are_those_of,
)


class TestRmsNorm(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 3.2 variant 2: eps inside the root; small x tells the variants apart.
    ones = torch.ones(4)
    got = rms_norm(torch.tensor([1.0, 2.0, 3.0, 4.0]), ones, eps=1e-6)
    expected = [0.365148347327, 0.730296694654, 1.095445041981, 1.460593389308]
    torch.testing.assert_close(got, torch.tensor(expected), rtol=1e-6, atol=0)
    small = torch.tensor([1.0, -2.0, 3.0, -4.0]) * 1e-4
    for eps, first in ((1e-6, 0.096448564434), (1e-5, 0.031504854091)):
        assert rms_norm(small, ones, eps=eps)[0].item() == pytest.approx(first, rel=1e-6)
        gemma = rms_norm(small, torch.zeros(4), eps=eps, offset=1.0)
        assert gemma[0].item() == pytest.approx(first, rel=1e-6)


@pytest.mark.golden
def test_stored_numbers_of_partial() -> None:
    # By hand: the mean square of (1, 2) is 2.5, whatever follows.
    x = torch.tensor([1.0, 2.0, 30.0, -4.0])
    got = rms_norm(x, torch.ones(4), eps=0.0, partial=0.5)
    torch.testing.assert_close(got, x / 2.5**0.5, rtol=1e-6, atol=0)


def test_partial_counts_channels_from_above() -> None:
    found = [rms_channels(*pair) for pair in ((16, 0.0625), (16, 0.063), (100, 0.07), (3, 1e-3))]
    assert found == [1, 2, 7, 1]


def test_channels_beyond_partial_still_move_the_result() -> None:
    x = normal(3, 20)
    changed = x.clone()
    changed[:, 5:] *= 2
    one, two = (rms_norm(t, torch.ones(20), partial=0.25) for t in (x, changed))
    torch.testing.assert_close(one[:, :5], two[:, :5], rtol=0, atol=0)
    torch.testing.assert_close(2 * one[:, 5:], two[:, 5:], rtol=1e-6, atol=0)


def test_against_torch_module() -> None:
    module = nn.RMSNorm(33, eps=1e-5)
    x = normal(7, 33)
    with torch.no_grad():
        module.weight.copy_(normal(33, seed=1))
        torch.testing.assert_close(rms_norm(x, module.weight, eps=1e-5), module(x))


def test_offset_against_transformers_gemma() -> None:
    gemma = pytest.importorskip("transformers.models.gemma.modeling_gemma")
    module = gemma.GemmaRMSNorm(96, eps=1e-6)
    for dtype in (torch.float32, torch.bfloat16):
        x = normal(5, 96, dtype=dtype)
        with torch.no_grad():
            module.weight.copy_(normal(96, seed=1) / 4)
            module = module.to(dtype)
            got = rms_norm(x, module.weight, eps=1e-6, offset=1.0)
            torch.testing.assert_close(got, module(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cols", [192, 200, 1100])
def test_a_row_is_the_same_alone_and_in_any_batch(dtype: torch.dtype, cols: int) -> None:
    x, weight = normal(32, cols, dtype=dtype), normal(cols, dtype=dtype, seed=1)
    rows_do_not_depend_on_the_batch(rms_norm, [x], [weight])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    gradients_do_not_depend_on_threads(rms_norm, [normal(700, 257), normal(257, seed=1)])


@pytest.mark.parametrize("cols", [256, 250])
def test_large_outputs_written_around_the_cache(cols: int) -> None:
    # Above half of the last-level cache the kernel takes its streaming path; 250 columns start most
    # rows off the cache lines.
    x, weight = normal(40_000, cols).requires_grad_(), normal(cols, seed=1).requires_grad_()
    results = []
    for call in (rms_norm, SPEC.reference):
        y = call(x, weight)
        results.append((y, *torch.autograd.grad(y, (x, weight), x.detach().cos())))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-3 if got.dim() == 1 else 1e-5)


def test_second_derivatives() -> None:
    args = [normal(3, 17), normal(17, seed=1)]
    second_derivatives_are_those_of(rms_norm, SPEC.reference, args)

    def partly(x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x, weight, partial=0.3, offset=1.0)

    def truth(x: Tensor, weight: Tensor) -> Tensor:
        return SPEC.reference(x, weight, partial=0.3, offset=1.0)

    second_derivatives_are_those_of(partly, truth, args)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_number_stays_in_its_row(value: float) -> None:
    x, weight = normal(6, 40), normal(40, seed=1)
    clean = rms_norm(x, weight)
    x[3, 7] = value
    got = rms_norm(x, weight)
    torch.testing.assert_close(got, SPEC.reference(x, weight), equal_nan=True)
    kept = [0, 1, 2, 4, 5]
    assert torch.equal(got[kept], clean[kept])


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1), normal(8, seed=2), 1e-6, 1.0, 5)
    torch.library.opcheck(torch.ops.llmcore.rms_norm_backward.default, args)


def test_float64_is_for_the_reference_alone() -> None:
    x, weight = normal(2, 8).double(), normal(8).double()
    expected = "rms_norm: x must be float32, bfloat16 or float16, got float64"
    with use_backend("native"), pytest.raises(DtypeError) as raised:
        rms_norm(x, weight)
    assert str(raised.value) == expected
    with use_backend("reference"):
        assert rms_norm(x, weight).dtype == torch.float64


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((normal(3, 8), normal(7), 1e-6), r"weight must be \(C,\) = \(8,\), got \(7,\)"),
        ((normal(3, 8), normal(8), 1e-6, 0.0, 9), r"rms_cols must be -1 or in \[1, 8\], got 9"),
        ((normal(3, 8), normal(8), 1e-6, 0.0, 0), r"rms_cols must be -1 or in \[1, 8\], got 0"),
        ((torch.tensor(1.0), normal(8), 1e-6), r"x must be .*got \(\)"),
        ((normal(3, 8), normal(8).bfloat16(), 1e-6), "weight must be float32, got bfloat16"),
    ],
)
def test_dispatcher_checks_arguments_itself(args: tuple[object, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        torch.ops.llmcore.rms_norm_no_grad(*args)


def test_dispatcher_checks_the_cotangent() -> None:
    x, weight = normal(3, 8), normal(8)
    for dy in (normal(3, 7), normal(24, 1), normal(8), normal(3, 8).bfloat16()):
        with pytest.raises(RuntimeError, match="rms_norm: dy must be "):
            torch.ops.llmcore.rms_norm_backward(dy, x, weight, 1e-6)
