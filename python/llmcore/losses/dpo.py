"""Direct preference optimisation."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError, ShapeError


class DPOLoss(NamedTuple):
    """What `dpo_loss` returns: one entry per pair."""

    losses: Float[Tensor, " B"]
    """Loss of each pair, in nats."""
    chosen_rewards: Float[Tensor, " B"]
    """Implicit reward of the chosen answer, beta * log(policy / reference); no gradient."""
    rejected_rewards: Float[Tensor, " B"]
    """Implicit reward of the rejected answer; no gradient."""


def dpo_loss(
    policy_chosen: Float[Tensor, " B"],
    policy_rejected: Float[Tensor, " B"],
    ref_chosen: Float[Tensor, " B"],
    ref_rejected: Float[Tensor, " B"],
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> DPOLoss:
    r"""Logistic loss on the difference of implicit rewards.

        delta = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
        loss  = -(1 - eps) * log sigmoid(beta * delta) - eps * log sigmoid(-beta * delta)

    With eps = `label_smoothing` = 0 this is DPO; with eps > 0 conservative DPO (cDPO), which takes
    each preference to be flipped with probability eps and so stops at a finite margin.

    Args:
        policy_chosen, policy_rejected: log pi(y | x) summed over completion tokens, in nats.
        ref_chosen, ref_rejected: The same under the frozen reference model.
        beta: Strength of the tie to the reference, > 0.
        label_smoothing: eps, 0 <= eps < 0.5.

    Raises:
        ConfigError: `beta` or `label_smoothing` is out of range.
        ShapeError: the four inputs differ in shape.

    Numerics: log sigmoid is computed without overflow, in the dtype of the inputs.
    Source: Rafailov et al. 2023, arXiv:2305.18290, equation 7; Mitchell 2023, "A note on DPO with
    noisy preferences and relationship to IPO", equation 3 (cDPO).
    """
    if not beta > 0:
        raise ConfigError(f"dpo_loss: beta must be > 0, got {beta}")
    if not 0 <= label_smoothing < 0.5:
        raise ConfigError(f"dpo_loss: label_smoothing must be in [0, 0.5), got {label_smoothing}")
    shapes = [tuple(t.shape) for t in (policy_chosen, policy_rejected, ref_chosen, ref_rejected)]
    if len(set(shapes)) > 1:
        raise ShapeError(f"dpo_loss: all log-probs must have one shape (B,), got {shapes}")
    chosen_ratio = policy_chosen - ref_chosen
    rejected_ratio = policy_rejected - ref_rejected
    scaled = beta * (chosen_ratio - rejected_ratio)
    losses = -(1 - label_smoothing) * F.logsigmoid(scaled)
    if label_smoothing > 0:
        losses = losses - label_smoothing * F.logsigmoid(-scaled)
    return DPOLoss(losses, beta * chosen_ratio.detach(), beta * rejected_ratio.detach())


def reward_accuracy(
    chosen_rewards: Float[Tensor, " B"], rejected_rewards: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Share of pairs whose chosen answer has the strictly greater reward; a tie is a miss."""
    return (chosen_rewards > rejected_rewards).float().mean()
