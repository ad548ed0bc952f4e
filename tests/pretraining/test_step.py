"""The loss over micro-batches is one mean over tokens, and documents do not see each other."""

import math

import pytest
import torch
from torch import nn

from llmcore.data import PackedBatch, concatenate_rows
from llmcore.models import Decoder
from llmcore.optim import AdamW, OptimConfig
from llmcore.pretraining import accumulate_gradients, make_pretrain_step, mean_token_loss
from llmcore.shapes import IGNORE_INDEX
from llmcore.training import TrainState
from tests.support.toy_pretraining import toy_config


def toy_state() -> TrainState:
    model = Decoder(toy_config("t", "d").model, generator=torch.Generator().manual_seed(0))
    return state_of(model)


def state_of(model: nn.Module) -> TrainState:
    optimizer = AdamW(model.named_parameters(), OptimConfig())
    return TrainState(model=model, optimizer=optimizer, generator=torch.Generator())


def random_rows(count: int, *, seed: int = 0) -> list[PackedBatch]:
    """Single rows of 16 tokens, each with two documents and its own number of trained tokens."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for row in range(count):
        tokens = torch.randint(0, 320, (1, 17), generator=generator)
        border = 3 + row
        labels = tokens[:, 1:].clone()
        labels[:, border - 1] = IGNORE_INDEX
        labels[:, : row % 4] = IGNORE_INDEX
        positions = torch.cat([torch.arange(border), torch.arange(16 - border)])[None]
        segment_ids = (torch.arange(16) >= border).to(torch.int32)[None]
        rows.append(
            PackedBatch(
                input_ids=tokens[:, :-1],
                labels=labels,
                positions=positions,
                segment_ids=segment_ids,
            )
        )
    return rows


class FixedLoss(nn.Module):
    """A model with two words whose loss at token id t is t, whatever the label 1 costs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, input_ids, *, positions, segment_ids):
        lead = torch.log(torch.expm1(input_ids.double() * self.scale))
        return torch.stack([lead, torch.zeros_like(lead)], dim=-1)


@pytest.mark.golden
def test_the_mean_is_over_all_tokens_not_over_means():
    """Sums 6 over three tokens and 10 over one: 16 / 4 = 4, where the mean of means is 6."""
    batches = []
    for tokens, labels in (
        ([[2, 2, 2]], [[1, 1, 1]]),
        ([[10, 1, 1]], [[1, IGNORE_INDEX, IGNORE_INDEX]]),
    ):
        batches.append(
            PackedBatch(
                input_ids=torch.tensor(tokens),
                labels=torch.tensor(labels),
                positions=torch.arange(3)[None],
                segment_ids=torch.zeros(1, 3, dtype=torch.int32),
            )
        )
    assert accumulate_gradients(state_of(FixedLoss()), batches) == pytest.approx(4.0, rel=1e-6)


def test_one_batch_of_eight_equals_eight_of_one():
    rows = random_rows(8)
    split, whole = toy_state(), toy_state()
    loss_split = accumulate_gradients(split, rows)
    loss_whole = accumulate_gradients(whole, [concatenate_rows(rows)])
    assert loss_split == pytest.approx(loss_whole, rel=1e-6)
    for own, other in zip(split.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=1e-6)

    step = make_pretrain_step(OptimConfig(), num_steps=10)
    split, whole = toy_state(), toy_state()
    for _ in range(4):
        one = step(split, rows)
        two = step(whole, [concatenate_rows(rows)])
        split.step, whole.step = split.step + 1, whole.step + 1
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-6)
        assert one["lr"] == two["lr"]


def test_the_gradient_is_that_of_the_loss():
    state = toy_state()
    rows = random_rows(3)
    accumulate_gradients(state, rows)
    weight = state.model.get_parameter(next(iter(dict(state.model.named_parameters()))))
    place = (int(rows[0].input_ids[0, 0]), 0)
    analytic = weight.grad[place].item()
    shift = 1e-2
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[place] += sign * shift
            values.append(mean_token_loss(state.model, rows))
            weight[place] -= sign * shift
    assert (values[0] - values[1]) / (2 * shift) == pytest.approx(analytic, rel=0.05, abs=1e-3)


def test_a_document_in_a_pack_has_the_logits_it_has_alone():
    state, [row] = toy_state(), random_rows(1)
    packed = state.model(
        row.input_ids, positions=row.positions, segment_ids=row.attention_segment_ids
    )
    alone = state.model(row.input_ids[:, 3:])
    torch.testing.assert_close(packed[:, 3:], alone, rtol=1e-5, atol=1e-5)
    mixed = state.model(row.input_ids, positions=row.positions)
    assert not torch.allclose(mixed[:, 3:], alone, atol=1e-5)


def test_an_untrained_model_knows_nothing():
    state = toy_state()
    assert mean_token_loss(state.model, random_rows(4)) == pytest.approx(math.log(320), rel=0.05)
    assert state.model.training


def test_the_first_loss_of_a_fresh_model_falls():
    state, rows = toy_state(), [concatenate_rows(random_rows(4))]
    step = make_pretrain_step(OptimConfig(peak_lr=2e-2, warmup_steps=1), num_steps=15)
    losses = []
    for _ in range(15):
        losses.append(step(state, rows)["loss"])
        state.step += 1
    assert losses[-1] < 0.5 * losses[0]
