"""cross_entropy: the shared checks, closed forms, PyTorch, broken rows, batches, threads."""

import math

import pytest
import torch
import torch.nn.functional as F

from llmcore.ops import cross_entropy
from llmcore.ops.cases import normal
from llmcore.ops.cross_entropy.cases import SPEC
from llmcore.ops.cross_entropy.pytorch import cross_entropy_torch
from tests.support.check_op import OpChecks


class TestCrossEntropy(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_closed_form() -> None:
    # Uniform logits cost ln V; two logits ln(1 + e^-d); smoothing mixes in the mean.
    assert cross_entropy(torch.zeros(1, 7), torch.tensor([3])).item() == pytest.approx(math.log(7))
    logits, label = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    hit, miss = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert cross_entropy(logits, label).item() == pytest.approx(hit)
    smooth = cross_entropy(logits, label, label_smoothing=0.2).item()
    assert smooth == pytest.approx(0.8 * hit + 0.2 * (hit + miss) / 2)


def test_label_out_of_range_raises() -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        cross_entropy(torch.zeros(1, 7), torch.tensor([7]))


@pytest.mark.golden
def test_z_loss_of_palm() -> None:
    # facts 9.5: logits [2, 1, 0] have ln Z = 2.40760596444; the gradient gets (1 + 2 z ln Z).
    logits = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([0]), z_loss=0.5)
    assert loss.item() == pytest.approx(0.40760596444 + 0.5 * 2.40760596444**2, rel=1e-6)
    loss.backward()
    expected = torch.tensor([2.0, 1.0, 0.0]).softmax(0) * (1 + 2.40760596444) - torch.eye(3)[0]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_loss_of_torch(smoothing: float) -> None:
    logits, labels = 4 * normal(40, 50_257), torch.arange(40) * 1009
    labels[3] = -100
    x, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    losses = cross_entropy(x, labels, label_smoothing=smoothing)
    expected = F.cross_entropy(exact, labels, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(losses.double(), expected, rtol=1e-6, atol=0)
    ours = torch.autograd.grad(losses.sum(), x)[0]
    theirs = torch.autograd.grad(expected.sum(), exact)[0]
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_in_any_batch_and_on_any_number_of_threads(
    dtype: torch.dtype,
) -> None:
    logits, labels = 3 * normal(65, 2051, dtype=dtype), torch.arange(65) * 31
    together = cross_entropy(logits, labels)
    before = torch.get_num_threads()
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            for n in range(1, 33):
                assert torch.equal(cross_entropy(logits[-n:], labels[-n:]), together[-n:])
            x = logits.clone().requires_grad_()
            grad = torch.autograd.grad(cross_entropy(x, labels).sum(), x)[0]
            y = logits[64:].clone().requires_grad_()
            assert torch.equal(
                torch.autograd.grad(cross_entropy(y, labels[64:]), y)[0][0], grad[64]
            )
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("vocab_size", [7, 2051])
def test_broken_rows_are_as_documented(vocab_size: int) -> None:
    logits = normal(6, vocab_size)
    labels = torch.full((6,), 2)
    logits[0] = -math.inf
    logits[1, 5] = math.nan
    logits[2, 5] = math.inf
    logits[3, 2] = -math.inf
    logits[4], labels[4] = math.nan, -100
    losses = cross_entropy(logits, labels)
    assert losses[:2].isnan().all() and (losses[2:4] == math.inf).all()
    assert losses[4] == 0 and losses[5].isfinite()
    expected = SPEC.reference(logits, labels)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=0, equal_nan=True)
    logits.requires_grad_()
    grad = torch.autograd.grad(cross_entropy(logits, labels), logits, torch.ones(6))[0]
    assert (grad[4] == 0).all() and grad[5].isfinite().all()
    assert grad[3].isfinite().all() and grad[3, 2] == -1


def test_a_gradient_in_place_over_slices_is_that_of_the_whole() -> None:
    logits, labels = 3 * normal(9, 300), torch.arange(9) * 37
    options = (-100, 0.1, 1e-3, 5.0)
    _, lse = torch.ops.llmcore.cross_entropy(logits, labels, *options)
    whole = torch.ops.llmcore.cross_entropy_backward(lse, logits, labels, lse, *options)
    parts = logits.clone()
    for first, last in ((0, 111), (111, 300)):
        grad_ = torch.ops.llmcore.cross_entropy_grad_
        grad_(parts[:, first:last], labels, lse, lse, first, 300, *options)
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_large_gradients_written_around_the_cache() -> None:
    logits, labels = normal(600, 8193).requires_grad_(), torch.arange(600)
    grad = torch.autograd.grad(cross_entropy(logits, labels).sum(), logits)[0]
    expected = torch.autograd.grad(SPEC.reference(logits, labels).sum(), logits)[0]
    torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-7)


def test_float64_runs_the_reference() -> None:
    assert cross_entropy(normal(2, 5).double(), torch.tensor([1, 2])).dtype == torch.float64


def test_dispatcher_checks_its_arguments_itself() -> None:
    op, grad_ = torch.ops.llmcore.cross_entropy, torch.ops.llmcore.cross_entropy_grad_
    logits, labels, row = normal(2, 5), torch.tensor([1, 2]), torch.ones(2)
    with pytest.raises(RuntimeError, match="labels must be in"):
        op(logits, labels + 3, -100, 0.0, 0.0, 0.0)
    with pytest.raises(RuntimeError, match="labels must be int64"):
        op(logits, labels.int(), -100, 0.0, 0.0, 0.0)
    with pytest.raises(RuntimeError, match="label_smoothing must be in range"):
        op(logits, labels, -100, 1.0, 0.0, 0.0)
    with pytest.raises(RuntimeError, match="whole rows"):
        grad_(logits.t(), labels, row, row, 0, 2, -100, 0.0, 0.0, 0.0)
    with pytest.raises(RuntimeError, match="first_col must be"):
        grad_(logits, labels, row, row, 3, 5, -100, 0.0, 0.0, 0.0)


def test_the_form_for_cuda_agrees_with_the_reference() -> None:
    options = {"ignore_index": -100, "label_smoothing": 0.1, "z_loss": 1e-2, "softcap": 4.0}
    logits, labels = 3 * normal(9, 33), torch.arange(9) * 3
    labels[4] = -100
    found = []
    for function in (cross_entropy_torch, SPEC.reference):
        x = logits.clone().requires_grad_()
        losses = function(x, labels, **options)
        found.append((losses.detach(), torch.autograd.grad(losses.sum(), x)[0]))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
