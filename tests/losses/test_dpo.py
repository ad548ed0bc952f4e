"""DPO and conservative DPO against golden numbers, closed-form gradients and gradcheck."""

import inspect

import pytest
import torch

from llmcore.errors import ConfigError, ShapeError
from llmcore.losses import dpo_loss, reward_accuracy

POLICY_CHOSEN = [-0.5, -10.0, -1.0]
POLICY_REJECTED = [-0.1, -30.0, -21.0]
REF_CHOSEN = [-0.5, -10.1, -0.1]
REF_REJECTED = [-0.1, -20.1, -0.1]


def _inputs() -> list[torch.Tensor]:
    rows = (POLICY_CHOSEN, POLICY_REJECTED, REF_CHOSEN, REF_REJECTED)
    return [torch.tensor(row, dtype=torch.float64) for row in rows]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("label_smoothing", "expected"),
    [
        (0.0, [0.693147181, 0.313261688, 0.126928011]),
        (0.1, [0.693147181, 0.413261688, 0.326928011]),
    ],
)
def test_golden_losses(label_smoothing: float, expected: list[float]) -> None:
    got = dpo_loss(*_inputs(), beta=0.1, label_smoothing=label_smoothing).losses
    assert got.tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.golden
def test_golden_mean_rewards_and_strict_accuracy() -> None:
    loss = dpo_loss(*_inputs(), beta=0.1)
    assert float(loss.losses.mean()) == pytest.approx(0.3777789597, abs=1e-10)
    assert loss.chosen_rewards.tolist() == pytest.approx([0, 0.01, -0.09], abs=1e-12)
    assert loss.rejected_rewards.tolist() == pytest.approx([0, -0.99, -2.09], abs=1e-12)
    # The first pair is a tie, and a tie is a miss.
    accuracy = reward_accuracy(loss.chosen_rewards, loss.rejected_rewards)
    assert float(accuracy) == pytest.approx(2 / 3)


@pytest.mark.golden
def test_golden_gradient_of_chosen_logprobs() -> None:
    inputs = _inputs()
    inputs[0].requires_grad_()
    dpo_loss(*inputs, beta=0.1).losses.sum().backward()
    assert inputs[0].grad is not None
    assert inputs[0].grad.tolist() == pytest.approx([-0.05, -0.0268941421, -0.0119202922], abs=1e-9)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_gradcheck(label_smoothing: float) -> None:
    inputs = [tensor.requires_grad_() for tensor in _inputs()]
    assert torch.autograd.gradcheck(
        lambda *x: dpo_loss(*x, beta=0.3, label_smoothing=label_smoothing).losses, inputs
    )


def test_rewards_carry_no_gradient() -> None:
    loss = dpo_loss(*[tensor.requires_grad_() for tensor in _inputs()], beta=0.1)
    assert loss.losses.requires_grad
    assert not loss.chosen_rewards.requires_grad and not loss.rejected_rewards.requires_grad


def test_cdpo_is_least_at_the_margin_where_its_probability_is_one_minus_eps() -> None:
    # d loss / d delta = 0 at sigmoid(beta * delta) = 1 - eps: the margin stays finite.
    eps, beta = 0.1, 0.5
    best = torch.logit(torch.tensor([1 - eps], dtype=torch.float64)) / beta
    zero = torch.zeros(1, dtype=torch.float64)
    best.requires_grad_()
    dpo_loss(best, zero, zero, zero, beta=beta, label_smoothing=eps).losses.sum().backward()
    assert best.grad is not None
    assert float(best.grad) == pytest.approx(0.0, abs=1e-12)


def test_huge_margins_do_not_overflow() -> None:
    far = torch.tensor([1e6, -1e6])
    zero = torch.zeros(2)
    losses = dpo_loss(far, zero, zero, zero, beta=1.0).losses
    assert losses.tolist() == pytest.approx([0.0, 1e6])


@pytest.mark.parametrize(("beta", "eps"), [(0.0, 0.0), (-1.0, 0.0), (0.1, 0.5), (0.1, -0.1)])
def test_out_of_range_is_refused(beta: float, eps: float) -> None:
    with pytest.raises(ConfigError, match="dpo_loss: "):
        dpo_loss(*_inputs(), beta=beta, label_smoothing=eps)


def test_unequal_shapes_are_refused() -> None:
    inputs = _inputs()
    inputs[3] = inputs[3][:2]
    with pytest.raises(ShapeError, match="one shape"):
        inspect.unwrap(dpo_loss)(*inputs, beta=0.1)
