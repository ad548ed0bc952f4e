"""relu2: the shared checks, stored numbers, other people's code, batch and threads."""

import pytest
import torch

from llmcore.ops import relu2
from llmcore.ops.cases import normal
from llmcore.ops.relu2.cases import SPEC
from tests.support.check_op import OpChecks


class TestRelu2(OpChecks):
    spec = SPEC


def test_stored_numbers() -> None:
    x = torch.tensor([-2.0, -0.0, 0.5, 3.0, float("inf"), -float("inf")])
    assert relu2(x).tolist() == [0, 0, 0.25, 9, float("inf"), 0]
    assert relu2(torch.tensor([float("nan")])).isnan().all()


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_relu_squared_and_its_gradient(dtype: torch.dtype) -> None:
    x = normal(40, 333, dtype=dtype).requires_grad_()
    got, expected = relu2(x), x.relu().square()
    assert torch.equal(got, expected)
    dy = normal(40, 333, dtype=dtype, seed=1)
    ours, theirs = (torch.autograd.grad(y, x, dy)[0] for y in (got, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_in_a_batch_and_in_a_view(dtype: torch.dtype) -> None:
    wide = normal(32, 500, dtype=dtype)
    together = relu2(wide[:, :333])
    for num_rows in (1, 2, 31):
        assert torch.equal(relu2(wide[:num_rows, :333].contiguous()), together[:num_rows])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x, dy = normal(301, 257).requires_grad_(), normal(301, 257, seed=2)
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            y = relu2(x)
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
    y = relu2(x)
    (dx,) = torch.autograd.grad(y, x, dy)
    for some in (slice(0, 5), slice(rows // 2, rows // 2 + 9), slice(rows - 3, rows)):
        few = x.detach()[some].requires_grad_()
        expected = relu2(few)
        assert torch.equal(y[some], expected)
        assert torch.equal(dx[some], torch.autograd.grad(expected, few, dy[some])[0])


def test_the_dispatcher_checks_everything_itself() -> None:
    with pytest.raises(RuntimeError, match="relu2: x must be"):
        torch.ops.llmcore.relu2_no_grad(torch.arange(3))
    for dy in (normal(3, 7), normal(8), normal(3, 8, dtype=torch.bfloat16), torch.arange(3)):
        with pytest.raises(RuntimeError, match="relu2: dy must be"):
            torch.ops.llmcore.relu2_backward(dy, normal(3, 8))
    assert torch.ops.llmcore.relu2_no_grad(normal(3, 0)).shape == (3, 0)
    assert torch.ops.llmcore.relu2_no_grad(torch.tensor(2.0)).shape == ()


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1))
    torch.library.opcheck(torch.ops.llmcore.relu2_backward.default, args)


def test_the_gradient_has_a_gradient() -> None:
    found = []
    for function in (relu2, SPEC.reference):
        leaves = [leaf.clone().requires_grad_() for leaf in (normal(3, 9),)]
        y = function(*leaves)
        first = torch.autograd.grad(y.pow(2).sum(), leaves, create_graph=True)
        loss = torch.stack([grad.pow(3).sum() for grad in first]).sum()
        found.append((y, *first, *torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
