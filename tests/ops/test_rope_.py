"""rope_: rope's numbers in place, and what autograd sees of the change."""

from collections.abc import Callable

import pytest
import torch

from llmcore.ops import rope, rope_, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.rope.cases import tables
from llmcore.ops.rope_.cases import SPEC
from tests.support.check_op import OpChecks


class TestRopeInPlace(OpChecks):
    spec = SPEC


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_is_rope_bit_for_bit_and_changes_nothing_else(
    dtype: torch.dtype, interleaved: bool
) -> None:
    for width, rotated in ((64, 64), (80, 80), (48, 20), (6, 6), (34, 34), (256, 64)):
        cos, sin = tables(torch.arange(9), rotated)
        fused = normal(3, 9, 7, width, dtype=dtype)
        before = fused.clone()
        view = fused[:, :, 2:5]
        expected = rope(view, cos, sin, interleaved=interleaved)
        assert rope_(view, cos, sin, interleaved=interleaved) is view
        assert torch.equal(view, expected)
        assert torch.equal(fused[:, :, :2], before[:, :, :2])
        assert torch.equal(fused[:, :, 5:], before[:, :, 5:])


def test_large_tensors() -> None:
    x, (cos, sin) = normal(1, 9_000, 16, 80), tables(torch.arange(9_000), 80)
    expected = rope(x, cos, sin)
    assert torch.equal(rope_(x, cos, sin), expected)


def test_the_gradient_passes_through_a_view_of_a_projection() -> None:
    cos, sin = tables(torch.arange(5), 8)
    weight = normal(12, 32).requires_grad_()
    x, dy = normal(2, 5, 12, seed=1), normal(2, 5, 4, 8, seed=2)

    def gradient(turn: Callable[..., torch.Tensor]) -> torch.Tensor:
        heads = (x @ weight).view(2, 5, 4, 8)
        q, k = heads[:, :, :3], heads[:, :, 3:]
        out = torch.cat((turn(q, cos, sin), 2 * turn(k, cos, sin)), dim=2)
        return torch.autograd.grad(out, weight, dy)[0]

    torch.testing.assert_close(gradient(rope_), gradient(rope))


def test_a_leaf_that_requires_a_gradient_is_refused() -> None:
    x, (cos, sin) = normal(1, 4, 1, 8).requires_grad_(), tables(torch.arange(4), 8)
    before = x.detach().clone()
    with pytest.raises(RuntimeError, match="rope_: x must be no leaf"):
        rope_(x, cos, sin)
    assert torch.equal(x, before)
    with torch.no_grad():
        rope_(x, cos, sin)
    torch.testing.assert_close(x.detach(), rope(before, cos, sin))


@pytest.mark.parametrize("recorded", [False, True])
def test_what_was_saved_of_the_old_values_raises_in_its_backward(recorded: bool) -> None:
    x, (cos, sin) = normal(1, 4, 1, 8).requires_grad_(), tables(torch.arange(4), 8)
    changed = x * 2
    y = changed.square().sum()
    if recorded:
        rope_(changed, cos, sin)
    else:
        with torch.no_grad():
            rope_(changed, cos, sin)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_inference_mode() -> None:
    with torch.inference_mode():
        x, (cos, sin) = normal(1, 4, 1, 8), tables(torch.arange(4), 8)
        expected = rope(x, cos, sin)
        assert torch.equal(rope_(x, cos, sin), expected)


def test_a_wrong_position_leaves_x_unchanged() -> None:
    x, (cos, sin) = normal(1, 4, 1, 8), tables(torch.arange(4), 8)
    before = x.clone()
    with pytest.raises(IndexError, match=r"^rope_: positions must be in \[0, 4\), got 9$"):
        rope_(x, cos, sin, positions=torch.tensor([0, 1, 9, 2]))
    assert torch.equal(x, before)


def test_layouts_that_cannot_be_written_in_place() -> None:
    cos, sin = tables(torch.arange(4), 8)
    twice = normal(1, 4, 3, 8).expand(2, 4, 3, 8)
    across = normal(2, 4, 8, 3).transpose(2, 3)
    sliding = normal(40).as_strided((1, 4, 2, 8), (40, 8, 4, 1))
    with use_backend("native"):
        for x in (twice, across, sliding):
            with pytest.raises(RuntimeError, match="rope_: x must be .*got"):
                rope_(x, cos, sin)


@pytest.mark.native
def test_the_dispatcher_op_checks_and_writes() -> None:
    nothing = torch.empty(0, dtype=torch.int64)
    x, (cos, sin) = normal(2, 4, 3, 8), tables(torch.arange(4), 8)
    expected = rope(x, cos, sin)
    torch.ops.llmcore.rope_(x, cos, sin, nothing, False, False)
    assert torch.equal(x, expected)
    with pytest.raises(RuntimeError, match="rope_: positions must be"):
        torch.ops.llmcore.rope_(x, cos, sin, torch.arange(4) + 1, False, False)
