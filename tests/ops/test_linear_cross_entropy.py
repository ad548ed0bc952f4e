"""linear_cross_entropy: the shared checks, PyTorch unfused, batches, threads, memory."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from llmcore.ops import linear_cross_entropy, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.linear_cross_entropy.cases import SPEC
from tests.support.check_op import OpChecks


class TestLinearCrossEntropy(OpChecks):
    spec = SPEC


def inputs(
    num_tokens: int, dtype: torch.dtype = torch.float32, width: int = 48
) -> tuple[torch.Tensor, ...]:
    hidden = normal(num_tokens, width, dtype=dtype)
    weight = normal(1000, width, dtype=dtype, seed=1) / 4
    return hidden, weight, torch.arange(num_tokens) * 7919 % 1000


def test_equals_the_loss_of_torch_and_its_gradients() -> None:
    hidden, weight, labels = inputs(300)
    labels[5] = -100
    found = []
    for fused in (True, False):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        if fused:
            loss, losses = linear_cross_entropy(h, w, labels, label_smoothing=0.1)
        else:
            logits = F.linear(h, w)
            losses = F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
            loss = losses.sum()
        (loss / 299).backward()
        found.append((loss.detach(), losses.detach(), h.grad, w.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_has_the_same_loss_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    hidden, weight, labels = inputs(321, dtype)
    before = torch.get_num_threads()
    try:
        together = linear_cross_entropy(hidden, weight, labels)[1]
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            for n in (*range(1, 33), 255, 257):
                alone = linear_cross_entropy(hidden[-n:], weight, labels[-n:])[1]
                assert torch.equal(alone, together[-n:]), (n, num_threads)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("width", [48, 131])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_do_not_depend_on_the_number_of_threads(dtype: torch.dtype, width: int) -> None:
    hidden, weight, labels = inputs(600, dtype, width)
    before = torch.get_num_threads()
    found = []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
            linear_cross_entropy(h, w, labels)[0].backward()
            found.append((h.grad, w.grad))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_gradients_of_single_losses_are_exact() -> None:
    hidden, weight, labels = inputs(270)
    upstream = normal(270, seed=4)
    h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    loss_sum, losses = linear_cross_entropy(h, w, labels)
    got = torch.autograd.grad(2 * loss_sum + (upstream * losses).sum(), (h, w))
    loss_sum, _ = linear_cross_entropy(h, w, labels, token_weights=2 + upstream)
    expected = torch.autograd.grad(loss_sum, (h, w))
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_frozen_weight_gets_no_gradient_and_costs_none() -> None:
    hidden, weight, labels = inputs(20)
    hidden.requires_grad_()
    linear_cross_entropy(hidden, weight, labels)[0].backward()
    assert hidden.grad is not None and weight.grad is None


def test_a_second_backward_is_refused() -> None:
    hidden, weight, labels = inputs(20)
    with use_backend("native"):
        loss, _ = linear_cross_entropy(hidden.requires_grad_(), weight, labels)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward must run once per call"):
        loss.backward()


def test_float64_runs_the_reference() -> None:
    hidden, weight, labels = inputs(5)
    assert linear_cross_entropy(hidden.double(), weight.double(), labels)[1].dtype == torch.float64


PEAK = """
import sys, torch, torch.nn.functional as F
from torch.profiler import profile
from llmcore.ops import linear_cross_entropy, use_backend
n, c, v, fused = map(int, sys.argv[1:])
torch.set_num_threads(1)
hidden, weight = torch.randn(n, c, requires_grad=True), torch.randn(v, c, requires_grad=True)
labels = torch.arange(n)
with profile(profile_memory=True) as found:
    if fused:
        with use_backend("native"):
            linear_cross_entropy(hidden, weight, labels)[0].backward()
    else:
        F.cross_entropy(F.linear(hidden, weight), labels, reduction="sum").backward()
held = peak = 0
for event in found.profiler.kineto_results.events():
    if event.name() == "[memory]":
        held += event.nbytes()
        peak = max(peak, held)
print(peak - hidden.nbytes - weight.nbytes)
"""


def test_extra_memory_is_an_eighth_of_that_of_torch() -> None:
    def peak(fused: bool) -> int:
        command = [sys.executable, "-c", PEAK, "1024", "16", "8192", str(int(fused))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    assert peak(True) <= peak(False) / 8
