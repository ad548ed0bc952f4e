"""One optimiser step of language modelling."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from llmcore.data import PackedBatch
from llmcore.losses import token_cross_entropy
from llmcore.optim import OptimConfig
from llmcore.training import TrainState, apply_update, require_finite

PretrainStep = Callable[[TrainState, Sequence[PackedBatch]], dict[str, float]]


def make_pretrain_step(optim: OptimConfig, *, num_steps: int) -> PretrainStep:
    """The step function for `fit`.

    Args:
        optim: Hyper-parameters of the update.
        num_steps: Steps of the run, for the schedule.
    """

    def pretrain_step(state: TrainState, micro_batches: Sequence[PackedBatch]) -> dict[str, float]:
        loss = accumulate_gradients(state, micro_batches)
        require_finite("loss", loss, state)
        return {"loss": loss, **apply_update(state, optim, num_steps=num_steps)}

    return pretrain_step


def accumulate_gradients(state: TrainState, micro_batches: Sequence[PackedBatch]) -> float:
    r"""Add the gradients of the step's loss to the parameters; return the loss.

        loss = sum over all micro-batches of sum_t -log p(label_t) / trained tokens of all of them

    Args:
        state: Its model is run in training.
        micro_batches: The rows of one optimiser step; how they are split changes nothing.
    """
    num_trained = sum(batch.num_trained_tokens for batch in micro_batches)
    loss = 0.0
    for batch in micro_batches:
        logits = state.model(
            batch.input_ids,
            positions=batch.positions,
            segment_ids=batch.attention_segment_ids,
        )
        share = token_cross_entropy(logits, batch.labels).loss_sum / num_trained
        share.backward()
        loss += share.item()
    return loss


@torch.no_grad()
def mean_token_loss(model: nn.Module, batches: Sequence[PackedBatch]) -> float:
    """Mean loss per trained token in nats, without gradients.

    Args:
        model: Put back into training mode afterwards if it was in it.
        batches: At least one trained token.
    """
    was_training = model.training
    model.eval()
    loss_sum, num_trained = 0.0, 0
    for batch in batches:
        logits = model(
            batch.input_ids,
            positions=batch.positions,
            segment_ids=batch.attention_segment_ids,
        )
        loss_sum += token_cross_entropy(logits, batch.labels).loss_sum.item()
        num_trained += batch.num_trained_tokens
    model.train(was_training)
    return loss_sum / num_trained
