"""Clip, schedule and AdamW in one call; broken numbers never reach the weights."""

import math

import pytest
import torch

from llmcore.errors import TrainingError
from llmcore.optim import OptimConfig
from llmcore.training import apply_update, require_finite
from tests.support.toy_run import toy_state


def test_it_reports_the_rate_and_the_norm_before_clipping():
    state = toy_state()
    state.step = 5
    state.model.weight.grad = torch.tensor([[3.0, 0.0, 4.0]])
    optim = OptimConfig(peak_lr=1.0, warmup_steps=10)
    assert apply_update(state, optim, num_steps=20) == {"lr": 0.6, "grad_norm": 5.0}
    assert state.model.weight.grad is None
    assert state.optimizer.num_updates == 1


def test_a_broken_gradient_stops_before_the_weights():
    state = toy_state()
    before = state.model.weight.clone()
    state.model.weight.grad = torch.full((1, 3), math.inf)
    with pytest.raises(TrainingError, match="step 1: gradient norm must be finite, got inf"):
        apply_update(state, OptimConfig(), num_steps=20)
    assert torch.equal(state.model.weight, before)


def test_finite_passes_and_nan_names_the_step():
    state = toy_state()
    state.step = 6
    require_finite("loss", 1.0, state)
    with pytest.raises(TrainingError, match="step 7: loss must be finite, got nan"):
        require_finite("loss", math.nan, state)
