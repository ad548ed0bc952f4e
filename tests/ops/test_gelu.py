"""gelu: the shared checks, stored numbers, other people's code, batch and threads."""

import pytest
import torch
import torch.nn.functional as F

from llmcore.ops import gelu
from llmcore.ops.cases import normal
from llmcore.ops.gelu.cases import SPEC
from tests.support.check_op import OpChecks


class TestGelu(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 4.1: at 1, -1, 3, -3; the minimum; the largest difference of the two forms.
    x = torch.tensor([1.0, -1.0, 3.0, -3.0, -0.75179])
    exact = torch.tensor([0.8413447461, -0.1586552539, 2.9959503059, -0.0040496941, -0.1699712075])
    torch.testing.assert_close(gelu(x), exact)
    tanh = torch.tensor([0.8411919906, -0.1588080094, 2.9963626079, -0.0036373921])
    torch.testing.assert_close(gelu(x[:4], approximate="tanh"), tanh)
    at = torch.tensor([2.69894])
    difference = (gelu(at) - gelu(at, approximate="tanh")).abs().item()
    assert difference == pytest.approx(4.732355e-4, abs=3e-7)


@pytest.mark.parity
@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs(dtype: torch.dtype, approximate: str) -> None:
    x = normal(40, 333, dtype=dtype) * 4
    expected = F.gelu(x.double(), approximate=approximate).to(dtype)
    torch.testing.assert_close(gelu(x, approximate=approximate), expected)


@pytest.mark.native
def test_the_negative_tail_keeps_its_relative_accuracy() -> None:
    x = torch.linspace(-12.5, -3, 1001)
    wide = x.double()
    truth = wide * torch.special.erfc(-wide / 2**0.5) / 2
    assert ((gelu(x).double() - truth) / truth).abs().max() < 1e-6
    coarse = x.bfloat16()
    wide = coarse.double()
    truth = wide * torch.special.erfc(-wide / 2**0.5) / 2
    assert ((gelu(coarse).double() - truth) / truth).abs().max() < 0.51 * 2**-7


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_infinity_and_nan_are_those_of_the_reference(dtype: torch.dtype, approximate: str) -> None:
    special = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e10, -1e10, 14.0, -14.0, 89.0]
    x = torch.tensor([*special, -20.0, 1e-40], dtype=dtype).requires_grad_()
    got = gelu(x, approximate=approximate)
    expected = SPEC.reference(x, approximate=approximate)
    torch.testing.assert_close(got, expected, equal_nan=True)
    ours = torch.autograd.grad(got, x, torch.ones_like(x))
    theirs = torch.autograd.grad(expected, x, torch.ones_like(x))
    torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_in_a_batch_and_in_a_view(dtype: torch.dtype) -> None:
    wide = normal(32, 500, dtype=dtype)
    together = gelu(wide[:, :333])
    for num_rows in (1, 2, 31):
        assert torch.equal(gelu(wide[:num_rows, :333].contiguous()), together[:num_rows])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x, dy = normal(301, 257).requires_grad_(), normal(301, 257, seed=2)
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            y = gelu(x)
            found.append((y, *torch.autograd.grad(y, x, dy)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cols", [1024, 1001])
def test_large_outputs_written_around_the_cache(dtype: torch.dtype, cols: int) -> None:
    # Above half of the last-level cache the kernel takes its streaming path.
    rows = 18_000_000 // (dtype.itemsize * cols) + 3
    x, dy = normal(rows, cols, dtype=dtype).requires_grad_(), normal(rows, cols, dtype=dtype)
    y = gelu(x)
    (dx,) = torch.autograd.grad(y, x, dy)
    for some in (slice(0, 5), slice(rows // 2, rows // 2 + 9), slice(rows - 3, rows)):
        few = x.detach()[some].requires_grad_()
        expected = gelu(few)
        assert torch.equal(y[some], expected)
        assert torch.equal(dx[some], torch.autograd.grad(expected, few, dy[some])[0])


def test_the_dispatcher_checks_everything_itself() -> None:
    with pytest.raises(RuntimeError, match="gelu: x must be"):
        torch.ops.llmcore.gelu_no_grad(torch.arange(3), True)
    for dy in (normal(3, 7), normal(8), normal(3, 8, dtype=torch.bfloat16), torch.arange(3)):
        with pytest.raises(RuntimeError, match="gelu: dy must be"):
            torch.ops.llmcore.gelu_backward(dy, normal(3, 8), True)
    assert torch.ops.llmcore.gelu_no_grad(normal(3, 0), True).shape == (3, 0)
    assert torch.ops.llmcore.gelu_no_grad(torch.tensor(2.0), True).shape == ()


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1), True)
    torch.library.opcheck(torch.ops.llmcore.gelu_backward.default, args)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_gradient_has_a_gradient(approximate: str) -> None:
    found = []
    for function in (gelu, SPEC.reference):
        leaves = [leaf.clone().requires_grad_() for leaf in (normal(3, 9),)]
        y = function(*leaves, approximate=approximate)
        first = torch.autograd.grad(y.pow(2).sum(), leaves, create_graph=True)
        loss = torch.stack([grad.pow(3).sum() for grad in first]).sum()
        found.append((y, *first, *torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
