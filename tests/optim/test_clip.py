"""Gradient clipping against hand-computed values."""

import math

import pytest
import torch

from llmcore.optim import clip_grad_norm_, clip_scale, grad_norm


def params_with_grads(*grads: list[float]) -> list[torch.nn.Parameter]:
    params = []
    for grad in grads:
        param = torch.nn.Parameter(torch.zeros(len(grad)))
        param.grad = torch.tensor(grad)
        params.append(param)
    return params


@pytest.mark.golden
def test_norms_three_and_four():
    params = params_with_grads([3.0], [0.0, 4.0])
    assert clip_grad_norm_(params, 1.0) == pytest.approx(5.0)
    assert params[0].grad.item() == pytest.approx(3.0 * 0.19999996, rel=1e-6)
    assert params[1].grad.tolist() == pytest.approx([0.0, 4.0 * 0.19999996], rel=1e-6)


def test_small_gradients_are_untouched_and_missing_ones_passed_over():
    params = [*params_with_grads([0.3, 0.4]), torch.nn.Parameter(torch.zeros(2))]
    assert clip_grad_norm_(params, 1.0) == pytest.approx(0.5)
    assert params[0].grad.tolist() == torch.tensor([0.3, 0.4]).tolist()


def test_a_broken_gradient_shows_in_the_norm():
    assert math.isnan(clip_grad_norm_(params_with_grads([1.0], [math.nan]), 1.0))


def test_norm_and_scale_leave_the_gradients_alone():
    params = params_with_grads([3.0], [0.0, 4.0])
    assert grad_norm(params) == 5.0
    assert params[0].grad.tolist() == [3.0]
    assert clip_scale(5.0, 1.0) == pytest.approx(0.19999996)
    assert clip_scale(0.5, 1.0) == 1.0


def test_equals_the_clipping_of_torch():
    ours, theirs = (params_with_grads([1.5, -2.0, 0.25], [4.0, 1e-3]) for _ in range(2))
    norm = clip_grad_norm_(ours, 0.7)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(theirs, 0.7)), rel=1e-6)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-6, atol=0)
