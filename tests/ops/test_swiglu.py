"""swiglu: the shared checks, stored numbers, other people's code, batch and threads."""

import pytest
import torch
import torch.nn.functional as F

from llmcore.ops import swiglu
from llmcore.ops.cases import normal
from llmcore.ops.swiglu.cases import SPEC
from tests.support.check_op import OpChecks


class TestSwiglu(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 4.1: silu at 1, -1, 3, -3.
    gate, up = torch.tensor([1.0, -1.0, 3.0, -3.0]), torch.tensor([1.0, 2.0, 1.0, 1.0])
    expected = torch.tensor([0.7310585786, -2 * 0.2689414214, 2.8577223805, -0.1422776195])
    torch.testing.assert_close(swiglu(gate, up), expected)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_silu_times_up(dtype: torch.dtype) -> None:
    gate, up = normal(40, 333, dtype=dtype) * 4, normal(40, 333, dtype=dtype, seed=1)
    expected = (F.silu(gate.float()) * up.float()).to(dtype)
    torch.testing.assert_close(swiglu(gate, up), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_infinity_and_nan_are_those_of_the_reference(dtype: torch.dtype) -> None:
    special = [
        float("nan"),
        float("inf"),
        -float("inf"),
        0.0,
        -0.0,
        1e30,
        -1e30,
        89.0,
        -89.0,
        200.0,
    ]
    special += [-200.0, 1e-40]
    gate = torch.tensor(special, dtype=dtype).requires_grad_()
    up = torch.full_like(gate, 2.0).requires_grad_()
    got, expected = swiglu(gate, up), SPEC.reference(gate, up)
    torch.testing.assert_close(got, expected, equal_nan=True)
    ours = torch.autograd.grad(got, (gate, up), torch.ones_like(gate))
    theirs = torch.autograd.grad(expected, (gate, up), torch.ones_like(gate))
    torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.native
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_in_a_batch_and_in_a_view(dtype: torch.dtype) -> None:
    fused = normal(32, 2 * 333, dtype=dtype)
    gate, up = fused[:, :333], fused[:, 333:]
    together = swiglu(gate, up)
    for num_rows in (1, 2, 31):
        some = swiglu(gate[:num_rows].contiguous(), up[:num_rows].contiguous())
        assert torch.equal(some, together[:num_rows])


@pytest.mark.native
def test_results_do_not_depend_on_the_number_of_threads() -> None:
    gate, up = normal(301, 257).requires_grad_(), normal(301, 257, seed=1).requires_grad_()
    dy = normal(301, 257, seed=2)
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            y = swiglu(gate, up)
            found.append((y, *torch.autograd.grad(y, (gate, up), dy)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cols", [1024, 1001])
def test_large_outputs_written_around_the_cache(dtype: torch.dtype, cols: int) -> None:
    # Above half of the last-level cache the kernel takes its streaming path.
    rows = 18_000_000 // (dtype.itemsize * cols) + 3
    fused = normal(rows, 2 * cols, dtype=dtype)
    leaves = [half.requires_grad_() for half in fused.split(cols, dim=1)]
    dy = normal(rows, cols, dtype=dtype, seed=1)
    y = swiglu(*leaves)
    grads = torch.autograd.grad(y, leaves, dy)
    for some in (slice(0, 5), slice(rows // 2, rows // 2 + 9), slice(rows - 3, rows)):
        few = [leaf.detach()[some].requires_grad_() for leaf in leaves]
        expected = swiglu(*few)
        assert torch.equal(y[some], expected)
        wanted = torch.autograd.grad(expected, few, dy[some])
        assert all(torch.equal(a[some], b) for a, b in zip(grads, wanted, strict=True))


def test_halves_of_a_fused_projection_are_not_copied() -> None:
    fused = normal(64, 2 * 4096)
    gate, up = fused[:, :4096], fused[:, 4096:]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        swiglu(gate, up)
    names = {event.key for event in profile.key_averages()}
    assert not names & {"aten::contiguous", "aten::copy_", "aten::clone"}


def test_the_dispatcher_checks_everything_itself() -> None:
    gate = normal(3, 8)
    for up in (normal(3, 7), normal(8), normal(3, 8, dtype=torch.bfloat16), torch.arange(3)):
        with pytest.raises(RuntimeError, match="swiglu: up must be"):
            torch.ops.llmcore.swiglu_no_grad(gate, up)
        with pytest.raises(RuntimeError, match="swiglu: (up|dy) must be"):
            torch.ops.llmcore.swiglu_backward(up, gate, gate)
    empty = torch.ops.llmcore.swiglu_no_grad(normal(3, 0), normal(3, 0))
    assert empty.shape == (3, 0)
    scalar = torch.ops.llmcore.swiglu_no_grad(torch.tensor(2.0), torch.tensor(3.0))
    assert scalar.shape == ()


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1), normal(3, 8, seed=2))
    torch.library.opcheck(torch.ops.llmcore.swiglu_backward.default, args)


def test_the_gradient_has_a_gradient() -> None:
    found = []
    for function in (swiglu, SPEC.reference):
        leaves = [leaf.clone().requires_grad_() for leaf in (normal(3, 9), normal(3, 9, seed=1))]
        y = function(*leaves)
        first = torch.autograd.grad(y.pow(2).sum(), leaves, create_graph=True)
        loss = torch.stack([grad.pow(3).sum() for grad in first]).sum()
        found.append((y, *first, *torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
