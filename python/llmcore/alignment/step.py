"""One optimiser step of direct preference optimisation."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.alignment.config import DPOConfig
from llmcore.alignment.pair_stream import PairBatch
from llmcore.alignment.reference import ReferenceLogprobs, answer_logits, answer_logprobs
from llmcore.losses import DPOLoss, dpo_loss, sum_by_sequence, token_kl
from llmcore.models import Decoder
from llmcore.training import TrainState, apply_update, require_finite


class PairLogprobs(NamedTuple):
    """What the policy says about a batch of pairs."""

    chosen: Float[Tensor, " B"]
    """log pi(y | x) of the chosen answers, in nats."""
    rejected: Float[Tensor, " B"]
    """The same of the rejected answers."""
    logits: Float[Tensor, "N V"]
    """Logits at every answer position, for the KL."""


def pair_logprobs(model: Decoder, batch: PairBatch) -> PairLogprobs:
    """Summed log-probabilities of both answers of every pair, from one packed forward pass."""
    logits = answer_logits(model, batch)
    logprobs = answer_logprobs(logits, batch)
    sums = sum_by_sequence(logprobs, batch.sequence_idx, num_sequences=2 * batch.num_pairs)
    return PairLogprobs(sums[: batch.num_pairs], sums[batch.num_pairs :], logits)


def make_dpo_step(
    config: DPOConfig, ref_logprobs: ReferenceLogprobs, *, reference: Decoder | None = None
) -> Callable[[TrainState, Sequence[PairBatch]], dict[str, float]]:
    r"""The step function of DPO, for `fit`.

        loss = mean over all pairs of dpo_loss
             + sft_coef * (sum of -log pi over chosen tokens) / (chosen tokens)

    Both means run over all micro-batches of the step. The second term keeps the chosen answers
    likely: DPO alone is free to lower both log-probabilities, which is why both are logged.

    Args:
        config: Of the run.
        ref_logprobs: Of the data that the batches index.
        reference: The frozen model; None = no KL is measured.

    Source: Rafailov et al. 2023, arXiv:2305.18290; the second term: Pang et al. 2024,
    arXiv:2404.19733, equation 1 (there per-sequence means, here one mean over all tokens).
    """

    def dpo_step(state: TrainState, micro_batches: Sequence[PairBatch]) -> dict[str, float]:
        assert isinstance(state.model, Decoder)
        num_pairs = sum(batch.num_pairs for batch in micro_batches)
        num_chosen_tokens = sum(batch.num_chosen_tokens for batch in micro_batches)
        totals: dict[str, float] = {}
        for batch in micro_batches:
            policy = pair_logprobs(state.model, batch)
            pair_loss = _pair_loss(config, policy, ref_logprobs, batch)
            chosen_nll = -policy.chosen.sum() / num_chosen_tokens
            loss = pair_loss.losses.sum() / num_pairs + config.sft_coef * chosen_nll
            loss.backward()
            parts = _batch_means(policy, pair_loss, num_pairs=num_pairs)
            parts |= {"loss": loss.item(), "chosen_nll": chosen_nll.item()}
            totals = {name: totals.get(name, 0.0) + value for name, value in parts.items()}
        if reference is not None and _is_kl_step(state.step, config):
            totals["kl_to_reference"] = mean_kl(policy.logits, reference, batch)
        require_finite("loss", totals["loss"], state)
        update = apply_update(state, config.optim, num_steps=config.train.num_steps)
        return {"loss": totals.pop("loss"), **update, **totals}

    return dpo_step


@torch.no_grad()
def mean_kl(policy_logits: Float[Tensor, "N V"], reference: Decoder, batch: PairBatch) -> float:
    """Mean KL(policy || reference) per answer position of the batch, in nats.

    Exact at each position, but on the answers of the data: the drift on the policy's own samples
    is measured by evaluation.
    """
    return token_kl(policy_logits.detach(), answer_logits(reference, batch)).mean().item()


@torch.no_grad()
def evaluate_pairs(
    config: DPOConfig,
    model: Decoder,
    batches: Sequence[PairBatch],
    ref_logprobs: ReferenceLogprobs,
) -> dict[str, float]:
    """Loss, reward accuracy and margin on held-out pairs."""
    num_pairs = sum(batch.num_pairs for batch in batches)
    totals = {"val_loss": 0.0, "val_accuracy": 0.0, "val_margin": 0.0}
    for batch in batches:
        policy = pair_logprobs(model, batch)
        pair_loss = _pair_loss(config, policy, ref_logprobs, batch)
        means = _batch_means(policy, pair_loss, num_pairs=num_pairs)
        totals["val_loss"] += pair_loss.losses.sum().item() / num_pairs
        totals["val_accuracy"] += means["reward_accuracy"]
        totals["val_margin"] += means["reward_margin"]
    return totals


def _pair_loss(
    config: DPOConfig, policy: PairLogprobs, ref: ReferenceLogprobs, batch: PairBatch
) -> DPOLoss:
    return dpo_loss(
        policy.chosen,
        policy.rejected,
        ref.chosen[batch.pair_idx],
        ref.rejected[batch.pair_idx],
        beta=config.beta,
        label_smoothing=config.label_smoothing,
    )


def _batch_means(policy: PairLogprobs, loss: DPOLoss, *, num_pairs: int) -> dict[str, float]:
    """This micro-batch's part of the means over all pairs of the step."""
    sums = {
        "reward_accuracy": (loss.chosen_rewards > loss.rejected_rewards).sum(),
        "reward_margin": (loss.chosen_rewards - loss.rejected_rewards).sum(),
        "chosen_reward": loss.chosen_rewards.sum(),
        "rejected_reward": loss.rejected_rewards.sum(),
        "chosen_logprob": policy.chosen.detach().sum(),
        "rejected_logprob": policy.rejected.detach().sum(),
    }
    return {name: value.item() / num_pairs for name, value in sums.items()}


def _is_kl_step(step: int, config: DPOConfig) -> bool:
    if config.kl_every == 0:
        return False
    return (step + 1) % config.kl_every == 0 or step + 1 == config.train.num_steps
