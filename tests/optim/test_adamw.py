"""AdamW against a hand-computed step and against torch.optim.AdamW."""

import pytest
import torch
from torch import nn

from llmcore.errors import CheckpointError
from llmcore.optim import AdamW, OptimConfig


def small_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 2))


def train(model: nn.Module, update, *, num_steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for step in range(num_steps):
        inputs = torch.randn(4, 3, generator=generator)
        model(inputs).square().mean().backward()
        update(step)


@pytest.mark.golden
def test_one_step_by_hand():
    weight = nn.Parameter(torch.tensor([[1.0]], dtype=torch.float64))
    weight.grad = torch.tensor([[0.5]], dtype=torch.float64)
    AdamW([("w", weight)], OptimConfig(weight_decay=0.1)).step(lr=0.1)
    assert weight.item() == pytest.approx(0.890000002, abs=1e-10)


def test_equal_to_torch_with_decay_on_matrices_only():
    ours, theirs = small_model(), small_model()
    config = OptimConfig(betas=(0.8, 0.99), eps=1e-6, weight_decay=0.3)
    optimizer = AdamW(ours.named_parameters(), config)
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in theirs.parameters() if p.ndim >= 2], "weight_decay": 0.3},
            {"params": [p for p in theirs.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.8, 0.99),
        eps=1e-6,
    )

    def our_update(step: int) -> None:
        optimizer.step(lr=0.1 / (step + 1))
        optimizer.zero_grad()

    def their_update(step: int) -> None:
        for group in reference.param_groups:
            group["lr"] = 0.1 / (step + 1)
        reference.step()
        reference.zero_grad()

    train(ours, our_update, num_steps=5)
    train(theirs, their_update, num_steps=5)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-7)


def test_stored_and_loaded_it_goes_on_bit_for_bit():
    straight, broken = small_model(), small_model()
    optimizer = AdamW(straight.named_parameters(), OptimConfig())
    train(straight, lambda step: optimizer.step(lr=0.01), num_steps=6)

    first = AdamW(broken.named_parameters(), OptimConfig())
    second = AdamW(broken.named_parameters(), OptimConfig())

    def update(step: int) -> None:
        if step == 3:
            second.load_state_tensors(
                {name: tensor.clone() for name, tensor in first.state_tensors().items()}
            )
        (first if step < 3 else second).step(lr=0.01)

    train(broken, update, num_steps=6)
    assert second.num_updates == 6
    for own, other in zip(straight.parameters(), broken.parameters(), strict=True):
        assert torch.equal(own, other)


def test_frozen_and_unused_parameters_are_left_alone():
    model = small_model()
    model[0].requires_grad_(False)
    before = [param.clone() for param in model.parameters()]
    optimizer = AdamW(model.named_parameters(), OptimConfig())
    model[2].weight.grad = torch.ones_like(model[2].weight)
    optimizer.step(lr=0.1)
    changed = [
        not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)
    ]
    assert changed == [False, False, False, False, True, False]


def test_the_state_of_another_model_is_refused():
    optimizer = AdamW(small_model().named_parameters(), OptimConfig())
    other = AdamW(nn.Linear(3, 5).named_parameters(), OptimConfig())
    with pytest.raises(CheckpointError, match="differs"):
        optimizer.load_state_tensors(other.state_tensors())
    narrow = AdamW(nn.Linear(2, 5).named_parameters(), OptimConfig())
    wide = AdamW(nn.Linear(3, 5).named_parameters(), OptimConfig())
    with pytest.raises(CheckpointError, match=r"exp_avg.weight' must be \(5, 2\), got \(5, 3\)"):
        narrow.load_state_tensors(wide.state_tensors())


def test_scaled_inside_the_step_or_before_it_is_the_same():
    inside, before = small_model(), small_model()
    first = AdamW(inside.named_parameters(), OptimConfig())
    second = AdamW(before.named_parameters(), OptimConfig())

    def scale_before(step: int) -> None:
        for param in before.parameters():
            param.grad *= 0.25  # a power of two: exact
        second.step(lr=0.01)

    train(inside, lambda step: first.step(lr=0.01, grad_scale=0.25**1), num_steps=1)
    train(before, scale_before, num_steps=1)
    for own, other in zip(inside.parameters(), before.parameters(), strict=True):
        assert torch.equal(own, other)


def test_bfloat16_weights_take_steps_below_their_resolution():
    weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = AdamW([("w", weight)], OptimConfig(weight_decay=0.0))
    for _ in range(64):  # each step is 1e-4; the next bfloat16 below 1 is 1 - 2^-8 = 1 - 3.9e-3
        weight.grad = torch.ones_like(weight)
        optimizer.step(lr=1e-4)
    assert weight[0, 0].item() == 1 - 2**-8 * 2
    state = optimizer.state_tensors()
    assert state["master.w"].dtype == state["exp_avg.w"].dtype == torch.float32
    assert state["master.w"][0, 0].item() == pytest.approx(1 - 64e-4, rel=1e-5)
