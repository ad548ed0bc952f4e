"""One optimiser step of instruction tuning."""

from collections.abc import Callable, Sequence

import torch

from llmcore.data import PackedBatch
from llmcore.losses import TokenLoss, token_cross_entropy
from llmcore.models import Decoder
from llmcore.optim import OptimConfig
from llmcore.shapes import IGNORE_INDEX
from llmcore.training import TrainState, apply_update, require_finite


def sft_loss(model: Decoder, batch: PackedBatch) -> TokenLoss:
    """Summed cross-entropy of a packed batch, on trained positions only.

    The vocabulary projection runs on the positions that carry loss and on no others: the same
    value and gradients as projecting all of them, at a fraction of the work.

    Args:
        model: Language model.
        batch: Packed chats; attention stays inside each segment.
    """
    hidden = model.hidden_states(
        batch.input_ids, positions=batch.positions, segment_ids=batch.attention_segment_ids
    )
    trained = (batch.labels.flatten() != IGNORE_INDEX).nonzero().squeeze(-1)
    logits = model.logits(hidden.flatten(0, 1).index_select(0, trained))
    return token_cross_entropy(logits, batch.labels.flatten()[trained])


def make_sft_step(
    optim: OptimConfig, *, num_steps: int
) -> Callable[[TrainState, Sequence[PackedBatch]], dict[str, float]]:
    r"""The step function of instruction tuning, for `fit`.

        loss = sum over micro-batches of loss_sum / sum over micro-batches of trained tokens

    Args:
        optim: Hyper-parameters of the update.
        num_steps: Steps of the run, for the schedule.
    """

    def sft_step(state: TrainState, micro_batches: Sequence[PackedBatch]) -> dict[str, float]:
        assert isinstance(state.model, Decoder)
        num_trained = sum(batch.num_trained_tokens for batch in micro_batches)
        loss = 0.0
        for batch in micro_batches:
            loss_sum = sft_loss(state.model, batch).loss_sum
            (loss_sum / num_trained).backward()
            loss += loss_sum.item() / num_trained
        require_finite("loss", loss, state)
        update = apply_update(state, optim, num_steps=num_steps)
        return {"loss": loss, **update, "trained_tokens": float(num_trained)}

    return sft_step


@torch.no_grad()
def mean_loss(model: Decoder, batches: Sequence[PackedBatch]) -> float:
    """Mean loss per trained token over held-out batches, in nats."""
    losses = [sft_loss(model, batch) for batch in batches]
    total = sum(loss.loss_sum.item() for loss in losses)
    return total / sum(loss.num_tokens for loss in losses)
