"""geglu: the shared checks, stored numbers, other people's code, batch and threads."""

import pytest
import torch
import torch.nn.functional as F

from llmcore.ops import geglu, gelu
from llmcore.ops.cases import normal
from llmcore.ops.geglu.cases import SPEC
from tests.support.check_op import OpChecks


class TestGeglu(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 4.1: gelu at 1, -1, 3, -3, exact and tanh.
    gate, up = torch.tensor([1.0, -1.0, 3.0, -3.0]), torch.tensor([1.0, 2.0, 1.0, 10.0])
    exact = torch.tensor([0.8413447461, -2 * 0.1586552539, 2.9959503059, -0.040496941])
    tanh = torch.tensor([0.8411919906, -2 * 0.1588080094, 2.9963626079, -0.036373921])
    torch.testing.assert_close(geglu(gate, up), exact)
    torch.testing.assert_close(geglu(gate, up, approximate="tanh"), tanh)


@pytest.mark.parity
@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_gelu_times_up(dtype: torch.dtype, approximate: str) -> None:
    gate, up = normal(40, 333, dtype=dtype) * 4, normal(40, 333, dtype=dtype, seed=1)
    expected = (F.gelu(gate.double(), approximate=approximate) * up.double()).to(dtype)
    torch.testing.assert_close(geglu(gate, up, approximate=approximate), expected)


def test_a_gate_of_one_is_gelu() -> None:
    x = normal(5, 99)
    assert torch.equal(geglu(x, torch.ones_like(x)), gelu(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_in_a_batch_and_in_a_view(dtype: torch.dtype) -> None:
    fused = normal(32, 2 * 333, dtype=dtype)
    gate, up = fused[:, :333], fused[:, 333:]
    together = geglu(gate, up)
    for num_rows in (1, 2, 31):
        some = geglu(gate[:num_rows].contiguous(), up[:num_rows].contiguous())
        assert torch.equal(some, together[:num_rows])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    gate, up = normal(301, 257).requires_grad_(), normal(301, 257, seed=1).requires_grad_()
    dy = normal(301, 257, seed=2)
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            y = geglu(gate, up)
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
    y = geglu(*leaves)
    grads = torch.autograd.grad(y, leaves, dy)
    for some in (slice(0, 5), slice(rows // 2, rows // 2 + 9), slice(rows - 3, rows)):
        few = [leaf.detach()[some].requires_grad_() for leaf in leaves]
        expected = geglu(*few)
        assert torch.equal(y[some], expected)
        wanted = torch.autograd.grad(expected, few, dy[some])
        assert all(torch.equal(a[some], b) for a, b in zip(grads, wanted, strict=True))


@pytest.mark.native
def test_halves_of_a_fused_projection_are_not_copied() -> None:
    fused = normal(64, 2 * 4096)
    gate, up = fused[:, :4096], fused[:, 4096:]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        geglu(gate, up)
    names = {event.key for event in profile.key_averages()}
    assert not names & {"aten::contiguous", "aten::copy_", "aten::clone"}


def test_the_dispatcher_checks_everything_itself() -> None:
    gate = normal(3, 8)
    for up in (normal(3, 7), normal(8), normal(3, 8, dtype=torch.bfloat16), torch.arange(3)):
        with pytest.raises(RuntimeError, match="geglu: up must be"):
            torch.ops.llmcore.geglu_no_grad(gate, up, False)
        with pytest.raises(RuntimeError, match="geglu: (up|dy) must be"):
            torch.ops.llmcore.geglu_backward(up, gate, gate, False)
    empty = torch.ops.llmcore.geglu_no_grad(normal(3, 0), normal(3, 0), False)
    assert empty.shape == (3, 0)
    scalar = torch.ops.llmcore.geglu_no_grad(torch.tensor(2.0), torch.tensor(3.0), False)
    assert scalar.shape == ()


def test_backward_op_is_registered() -> None:
    args = (normal(3, 8), normal(3, 8, seed=1), normal(3, 8, seed=2), False)
    torch.library.opcheck(torch.ops.llmcore.geglu_backward.default, args)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_gradient_has_a_gradient(approximate: str) -> None:
    found = []
    for function in (geglu, SPEC.reference):
        leaves = [leaf.clone().requires_grad_() for leaf in (normal(3, 9), normal(3, 9, seed=1))]
        y = function(*leaves, approximate=approximate)
        first = torch.autograd.grad(y.pow(2).sum(), leaves, create_graph=True)
        loss = torch.stack([grad.pow(3).sum() for grad in first]).sum()
        found.append((y, *first, *torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
