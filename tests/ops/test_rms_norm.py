"""rms_norm: the shared checks, stored numbers, and independence of batch and threads."""

import pytest
import torch

from llmcore.errors import DtypeError
from llmcore.ops import rms_norm, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.rms_norm.cases import SPEC
from tests.support.check_op import OpChecks


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    x, weight = normal(65, 200, dtype=dtype), normal(200, dtype=dtype, seed=1)
    together = rms_norm(x, weight)
    for row in (0, 31, 64):
        assert torch.equal(rms_norm(x[row : row + 1], weight)[0], together[row])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x, weight = normal(700, 257).requires_grad_(), normal(257, seed=1).requires_grad_()
    dy = normal(700, 257, seed=2)
    found = []
    before = torch.get_num_threads()
    try:
        for num_threads in (1, 2, 5):
            torch.set_num_threads(num_threads)
            y = rms_norm(x, weight)
            found.append((y, *torch.autograd.grad(y, (x, weight), dy)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_large_outputs_written_around_the_cache() -> None:
    # Above half of the last-level cache the kernel takes its streaming path.
    x, weight = normal(40_000, 256), normal(256, seed=1)
    expected = SPEC.reference(x, weight)
    torch.testing.assert_close(rms_norm(x, weight), expected, rtol=1e-5, atol=1e-6)


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1), normal(8, seed=2), 1e-6)
    torch.library.opcheck(torch.ops.llmcore.rms_norm_backward.default, args)


def test_float64_is_for_the_reference_alone() -> None:
    x, weight = normal(2, 8).double(), normal(8).double()
    expected = "rms_norm: x must be float32, bfloat16 or float16, got float64"
    with use_backend("native"), pytest.raises(DtypeError) as raised:
        rms_norm(x, weight)
    assert str(raised.value) == expected
    with use_backend("reference"):
        assert rms_norm(x, weight).dtype == torch.float64


def test_dispatcher_checks_shapes_itself() -> None:
    with pytest.raises(RuntimeError, match=r"weight must be \(C,\) = \(8,\), got \(7,\)"):
        torch.ops.llmcore.rms_norm_no_grad(normal(3, 8), normal(7), 1e-6)
