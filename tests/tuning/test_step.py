"""The SFT step: packed equals alone, selected positions equal all, accumulation is exact."""

import copy
from collections.abc import Sequence

import pytest
import torch

from llmcore.data import Example, PackedBatch, chat_example, encode_chat, packed_batch
from llmcore.losses import token_cross_entropy
from llmcore.models import Decoder
from llmcore.optim import AdamW, OptimConfig
from llmcore.training import TrainState
from llmcore.tuning.step import make_sft_step, mean_loss, sft_loss
from tests.support.tiny_chat import sums, tiny_decoder, tiny_tokenizer

OPTIM = OptimConfig(peak_lr=1e-2, warmup_steps=0)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    tokenizer = tiny_tokenizer()
    return [chat_example(encode_chat(tokenizer, chat)) for chat in sums(8)]


def _state(model: Decoder) -> TrainState:
    return TrainState(
        model=model,
        optimizer=AdamW(model.named_parameters(), OPTIM),
        generator=torch.Generator().manual_seed(0),
    )


def _gradients(model: Decoder, batches: Sequence[PackedBatch]) -> tuple[float, list[torch.Tensor]]:
    model.zero_grad()
    losses = [sft_loss(model, batch) for batch in batches]
    loss = torch.stack([part.loss_sum for part in losses]).sum() / sum(p.num_tokens for p in losses)
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_packed_and_alone_give_equal_loss_and_gradients(examples: list[Example]) -> None:
    model = tiny_decoder()
    packed = packed_batch([examples[:3], examples[3:]], seq_len=256)
    alone = [packed_batch([[example]], seq_len=256) for example in examples]
    loss, grads = _gradients(model, [packed])
    loss_alone, grads_alone = _gradients(model, alone)
    assert loss == pytest.approx(loss_alone, abs=1e-6)
    assert len(grads) == len(grads_alone) > 0
    for a, b in zip(grads, grads_alone, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_selected_positions_give_the_loss_of_all_positions(examples: list[Example]) -> None:
    model = tiny_decoder()
    batch = packed_batch([examples[:3], examples[3:]], seq_len=256)
    logits = model(batch.input_ids, positions=batch.positions, segment_ids=batch.segment_ids)
    full = token_cross_entropy(logits, batch.labels)
    selected = sft_loss(model, batch)
    assert selected.num_tokens == full.num_tokens == batch.num_trained_tokens
    torch.testing.assert_close(selected.loss_sum, full.loss_sum, atol=1e-4, rtol=1e-6)


def test_loss_is_the_closed_form_over_answers_only(examples: list[Example]) -> None:
    model, example = tiny_decoder(), examples[1]
    logits = model(torch.tensor([example.input_ids])).detach()[0]
    logprobs = logits.double().log_softmax(-1)
    expected = -sum(float(logprobs[t, y]) for t, y in enumerate(example.labels) if y >= 0)
    got = sft_loss(model, packed_batch([[example]], seq_len=256))
    assert got.loss_sum.item() == pytest.approx(expected, rel=1e-6)
    # Two answers, "1." and "2.", with their closing markers.
    assert got.num_tokens == example.num_trained_tokens == 6


def test_accumulation_of_eight_equals_one_batch_of_eight(examples: list[Example]) -> None:
    whole, parts = _state(tiny_decoder()), _state(tiny_decoder())
    step = make_sft_step(OPTIM, num_steps=10)
    one = step(whole, [packed_batch([[e] for e in examples], seq_len=256)])
    eight = step(parts, [packed_batch([[e]], seq_len=256) for e in examples])
    assert one["loss"] == pytest.approx(eight["loss"], abs=1e-6)
    assert one["grad_norm"] == pytest.approx(eight["grad_norm"], rel=1e-5)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_steps_learn_the_answers(examples: list[Example]) -> None:
    state = _state(tiny_decoder())
    step = make_sft_step(OPTIM, num_steps=40)
    batch = packed_batch([examples[:4], examples[4:]], seq_len=256)
    losses = []
    for _ in range(40):
        losses.append(step(state, [batch])["loss"])
        state.step += 1
    assert losses[-1] < 0.2 * losses[0]
    assert isinstance(state.model, Decoder)
    assert mean_loss(state.model, [batch]) < losses[-2]


def test_evaluation_changes_nothing_and_weighs_tokens(examples: list[Example]) -> None:
    model = tiny_decoder()
    before = copy.deepcopy(model.state_dict())
    batches = [packed_batch([[e]], seq_len=256) for e in examples]
    whole, _ = _gradients(tiny_decoder(), [packed_batch([examples], seq_len=512)])
    assert mean_loss(model, batches) == pytest.approx(whole, abs=1e-5)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
