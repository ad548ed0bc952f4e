"""adamw_: the shared checks, stored numbers, the optimiser of PyTorch, independence of threads."""

import math
from typing import Any

import pytest
import torch

from llmcore.ops import adamw_, global_norm
from llmcore.ops.adamw.cases import SPEC
from llmcore.ops.adamw.pytorch import adamw_torch_
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks, map_tensors, tensors_of


class TestAdamW(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_number() -> None:
    # w 1, g .5, lr .1, decay .1: after one step .890000002.
    param, grad = torch.ones(1), torch.full((1,), 0.5)
    adamw_(
        [param],
        [grad],
        [torch.zeros(1)],
        [torch.zeros(1)],
        step=1,
        lr=0.1,
        betas=(0.9, 0.95),
        eps=1e-8,
        weight_decay=0.1,
    )
    assert param.item() == pytest.approx(0.890000002, rel=1e-7)


def test_equals_the_optimizer_of_torch_over_steps() -> None:
    weight = normal(5, 3)
    theirs = torch.nn.Parameter(weight.clone())
    options = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = torch.optim.AdamW([theirs], **options)
    ours, exp_avg, exp_avg_sq = weight.clone(), torch.zeros(5, 3), torch.zeros(5, 3)
    for step in range(1, 6):
        grad = normal(5, 3, seed=step)
        theirs.grad = grad.clone()
        optimizer.step()
        adamw_([ours], [grad], [exp_avg], [exp_avg_sq], step=step, **options)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)


OPTIONS: dict[str, Any] = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}


def test_equals_the_fused_optimizer_of_torch_with_clipping_over_20_steps() -> None:
    shapes = [(37, 5), (1030,), (3,)]
    ours = [normal(*shape) for shape in shapes]
    theirs = [torch.nn.Parameter(weight.clone()) for weight in ours]
    optimizer = torch.optim.AdamW(theirs, fused=True, **OPTIONS)
    moments = [[torch.zeros_like(weight) for weight in ours] for _ in range(2)]
    for step in range(1, 21):
        grads = [normal(*shape, seed=step) for shape in shapes]
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = grad.clone()
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        optimizer.step()
        scale = min(1.0, 1.0 / (global_norm(grads).item() + 1e-6))
        adamw_(ours, grads, *moments, step=step, grad_scale=scale, **OPTIONS)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other.detach(), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_do_not_depend_on_the_number_of_threads(dtype: torch.dtype) -> None:
    shapes = [(300, 257), (11,), (0,), (5000,), (1025,)]
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            weights = [normal(*shape, dtype=dtype) for shape in shapes]
            grads = [normal(*shape, dtype=dtype, seed=1) for shape in shapes]
            moments = [[normal(*shape, seed=2).abs() for shape in shapes] for _ in range(2)]
            adamw_(weights, grads, *moments, step=2, **OPTIONS)
            found.append([*weights, *moments[0], *moments[1]])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_gradient_reaches_the_weight(broken: float) -> None:
    weight, grad = torch.ones(20), torch.ones(20)
    grad[7] = broken
    adamw_([weight], [grad], [torch.zeros(20)], [torch.zeros(20)], step=1, **OPTIONS)
    assert math.isnan(weight[7].item())
    assert weight[6].isfinite() and weight[8].isfinite()


def test_an_infinite_moment_stays_infinite() -> None:
    weight, exp_avg, exp_avg_sq = torch.ones(20), torch.zeros(20), torch.ones(20)
    exp_avg[3] = math.inf
    adamw_([weight], [torch.ones(20)], [exp_avg], [exp_avg_sq], step=1, **OPTIONS)
    assert exp_avg[3] == math.inf and weight[3] == -math.inf


def test_autograd_sees_that_a_saved_weight_has_changed() -> None:
    weight, x = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    product = (weight * x).sum()
    adamw_([weight], [torch.ones(3)], [torch.zeros(3)], [torch.zeros(3)], step=1, **OPTIONS)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_dispatcher_checks_its_arguments_itself() -> None:
    lists = [[torch.ones(4)] for _ in range(4)]
    scale = torch.ones(())
    numbers = (1, 0.1, 0.9, 0.95, 1e-8, 0.0)
    op = torch.ops.llmcore.adamw_
    with pytest.raises(RuntimeError, match=r"exp_avgs\[0\] must be of its weight's shape"):
        op(*lists[:2], [torch.ones(3)], lists[3], [], scale, *numbers)
    with pytest.raises(RuntimeError, match="grads must be a list of 1 tensors, got 0"):
        op(lists[0], [], *lists[2:], [], scale, *numbers)
    with pytest.raises(RuntimeError, match="step must be >= 1"):
        op(*lists, [], scale, 0, *numbers[1:])
    with pytest.raises(RuntimeError, match="eps must be >= 0"):
        op(*lists, [], scale, *numbers[:4], -1.0, numbers[5])
    with pytest.raises(RuntimeError, match="grad_scale must be a 0-dim"):
        op(*lists, [], torch.ones(2), *numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_form_for_cuda_agrees_with_the_reference(dtype: torch.dtype) -> None:
    for case in SPEC.cases(dtype)[:-2]:
        found = []
        for step in (adamw_torch_, SPEC.reference):
            args = map_tensors(case.args, torch.clone)
            step(*args, **case.kwargs)
            found.append(tensors_of(args))
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=1e-5 if dtype.itemsize == 4 else 8e-3, atol=1e-6
            )
