"""add_layer_norm: the shared checks, equality with the two ops it fuses, DeepNorm's step."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.ops import add_layer_norm, layer_norm
from llmcore.ops.add_layer_norm.cases import SPEC
from llmcore.ops.add_layer_norm.pytorch import add_layer_norm_torch
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks
from tests.support.norm_checks import (
    gradients_do_not_depend_on_threads,
    rows_do_not_depend_on_the_batch,
    second_derivatives_are_those_of,
)

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
DEEPNORM_ALPHA = 2.21336384  # facts 3.4: decoder-only, 12 layers, (2 * 12)^(1/4)


def arguments(rows: int, cols: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    x, residual = normal(rows, cols, dtype=dtype), normal(rows, cols, dtype=dtype, seed=2)
    return [x, residual, normal(cols, dtype=dtype, seed=1), normal(cols, dtype=dtype, seed=3)]


class TestAddLayerNorm(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 3.1 on h = 2 * residual + x = (1, 2, 3, 4).
    residual = torch.tensor([0.25, 0.5, 0.75, 1.0])
    y, h = add_layer_norm(2 * residual, residual, torch.ones(4), residual_scale=2.0)
    assert h.tolist() == [1.0, 2.0, 3.0, 4.0]
    expected = [-1.341635419969, -0.447211806656, 0.447211806656, 1.341635419969]
    torch.testing.assert_close(y, torch.tensor(expected), rtol=1e-6, atol=0)


def test_deepnorm_step_against_torch() -> None:
    # x <- LN(alpha * x + F(x)), facts 3.4.
    sublayer, stream, weight, bias = arguments(7, 96)
    y, _ = add_layer_norm(sublayer, stream, weight, bias, residual_scale=DEEPNORM_ALPHA)
    expected = F.layer_norm(DEEPNORM_ALPHA * stream + sublayer, (96,), weight, bias, 1e-5)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [9, 20_011])
def test_is_the_two_ops_one_after_the_other(dtype: torch.dtype, rows: int) -> None:
    # 20,011 rows of 1,000: written around the cache, through the staging rows.
    x, residual, weight, bias = arguments(rows, 1000 if rows > 9 else 75, dtype)
    y, h = add_layer_norm(x, residual, weight, bias)
    assert torch.equal(h, x + residual)
    assert torch.equal(y, layer_norm(h, weight, bias))


def test_torch_backend_agrees() -> None:
    args = arguments(5, 40)
    options = {"eps": 1e-6, "residual_scale": 1.7}
    for got, expected in zip(
        add_layer_norm_torch(*args, **options), SPEC.reference(*args, **options), strict=True
    ):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_gradients_where_an_output_is_not_used(scale: float, used: tuple[int, ...]) -> None:
    found = []
    for call in (add_layer_norm, SPEC.reference):
        leaves = [arg.requires_grad_() for arg in arguments(6, 40)]
        outs = call(*leaves, residual_scale=scale)
        wanted = [outs[idx] for idx in used]
        grads = torch.autograd.grad(
            wanted, leaves, [out.detach().cos() for out in wanted], allow_unused=True
        )
        found.append([torch.zeros(40) if grad is None else grad for grad in grads])
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cols", [192, 1100])
def test_a_row_is_the_same_alone_and_in_any_batch(cols: int) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x, residual, *channels = arguments(32, cols, dtype)
        rows_do_not_depend_on_the_batch(add_layer_norm, [x, residual], channels)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    gradients_do_not_depend_on_threads(add_layer_norm, arguments(700, 257))


def test_large_gradients_written_around_the_cache() -> None:
    found = []
    for call in (add_layer_norm, SPEC.reference):
        leaves = [arg.requires_grad_() for arg in arguments(40_001, 250)]
        y, h = call(*leaves, residual_scale=0.5)
        found.append(torch.autograd.grad(y.cos().sum() + h.sin().sum(), leaves))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-2 if got.dim() == 1 else 1e-5)


def test_second_derivatives() -> None:
    second_derivatives_are_those_of(add_layer_norm, SPEC.reference, arguments(3, 17))


def test_backward_op_is_registered() -> None:
    x, residual, weight, _ = arguments(3, 8)
    op = torch.ops.llmcore.add_layer_norm_backward.default
    torch.library.opcheck(op, (x, residual, x, weight, True, 1e-5, 2.0))
    torch.library.opcheck(op, (x, x.new_empty(0), x, weight, False, 1e-5, 1.0))


def test_dispatcher_checks_shapes_itself() -> None:
    x, residual, weight, bias = arguments(4, 6)
    for bad in (residual[:2], residual.reshape(2, 2, 6), residual.bfloat16()):
        with pytest.raises(RuntimeError, match="add_layer_norm: residual must be "):
            torch.ops.llmcore.add_layer_norm_no_grad(x, bad, weight, bias, 1e-5, 1.0)
        with pytest.raises(RuntimeError, match="add_layer_norm: dh must be "):
            torch.ops.llmcore.add_layer_norm_backward(x, bad, x, weight, True, 1e-5, 1.0)
