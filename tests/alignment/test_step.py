"""The DPO step: packed equals alone, ln 2 at the reference, accumulation, metrics and learning."""

import math

import pytest
import torch

from llmcore.alignment import (
    DPOConfig,
    EncodedPair,
    ReferenceLogprobs,
    encode_pair,
    make_dpo_step,
    pair_batch,
    pair_logprobs,
    reference_logprobs,
)
from llmcore.alignment.step import evaluate_pairs
from llmcore.losses import dpo_loss, token_kl
from llmcore.models import Decoder
from llmcore.optim import AdamW, OptimConfig
from llmcore.training import TrainConfig, TrainState
from tests.support.tiny_chat import preferences, tiny_decoder, tiny_tokenizer

NUM_PAIRS = 8


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    tokenizer = tiny_tokenizer()
    return [encode_pair(tokenizer, pair) for pair in preferences(NUM_PAIRS)]


@pytest.fixture(scope="module")
def ref_logprobs(pairs: list[EncodedPair]) -> ReferenceLogprobs:
    return reference_logprobs(tiny_decoder(), pairs, seq_len=256)


def _config(**changes: float | int) -> DPOConfig:
    return DPOConfig(
        init_from="model",
        train_data="dpo.jsonl",
        train=TrainConfig(num_steps=30),
        optim=OptimConfig(peak_lr=1e-3, warmup_steps=0, weight_decay=0.0),
        **({"beta": 0.5, "kl_every": 1} | changes),
    )


def _state(config: DPOConfig, model: Decoder | None = None) -> TrainState:
    model = tiny_decoder() if model is None else model
    return TrainState(
        model=model,
        optimizer=AdamW(model.named_parameters(), config.optim),
        generator=torch.Generator().manual_seed(0),
    )


def test_packed_logprobs_equal_each_pair_alone(pairs: list[EncodedPair]) -> None:
    model = tiny_decoder(seed=1)
    packed = pair_logprobs(model, pair_batch(pairs, range(NUM_PAIRS), seq_len=256))
    alone = [pair_logprobs(model, pair_batch(pairs, [i], seq_len=64)) for i in range(NUM_PAIRS)]
    for name in ("chosen", "rejected"):
        expected = torch.cat([getattr(one, name) for one in alone])
        torch.testing.assert_close(getattr(packed, name), expected, atol=1e-4, rtol=1e-5)


def test_at_the_reference_the_loss_is_ln_2_and_the_kl_zero(
    pairs: list[EncodedPair], ref_logprobs: ReferenceLogprobs
) -> None:
    config = _config()
    step = make_dpo_step(config, ref_logprobs, reference=tiny_decoder())
    row = step(_state(config), [pair_batch(pairs, range(4), seq_len=256)])
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert row["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert row["kl_to_reference"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sft_coef", [0.0, 0.3])
def test_loss_and_metrics_are_the_closed_form(
    pairs: list[EncodedPair], ref_logprobs: ReferenceLogprobs, sft_coef: float
) -> None:
    config = _config(sft_coef=sft_coef, label_smoothing=0.1)
    model, batch = tiny_decoder(seed=1), pair_batch(pairs, [6, 1, 2], seq_len=256)
    with torch.no_grad():
        policy = pair_logprobs(model, batch)
        reference = pair_logprobs(tiny_decoder(), batch)
    ref = [logprobs[batch.pair_idx] for logprobs in ref_logprobs]
    expected = dpo_loss(policy.chosen, policy.rejected, *ref, beta=0.5, label_smoothing=0.1)
    nll = -policy.chosen.sum() / sum(pairs[i].chosen.num_trained_tokens for i in (6, 1, 2))
    step = make_dpo_step(config, ref_logprobs, reference=tiny_decoder())
    row = step(_state(config, model), [batch])
    wanted = {
        "loss": expected.losses.mean() + sft_coef * nll,
        "chosen_nll": nll,
        "reward_accuracy": (expected.chosen_rewards > expected.rejected_rewards).float().mean(),
        "reward_margin": (expected.chosen_rewards - expected.rejected_rewards).mean(),
        "chosen_reward": expected.chosen_rewards.mean(),
        "rejected_reward": expected.rejected_rewards.mean(),
        "chosen_logprob": policy.chosen.mean(),
        "rejected_logprob": policy.rejected.mean(),
        "kl_to_reference": token_kl(policy.logits, reference.logits).mean(),
    }
    assert {name: row[name] for name in wanted} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-4, abs=1e-5
    )
    assert row["kl_to_reference"] > 0.01


@pytest.mark.parametrize("sft_coef", [0.0, 0.3])
def test_accumulation_of_eight_equals_one_batch_of_eight(
    pairs: list[EncodedPair], ref_logprobs: ReferenceLogprobs, sft_coef: float
) -> None:
    config = _config(sft_coef=sft_coef, kl_every=0)
    step = make_dpo_step(config, ref_logprobs)
    whole, parts = _state(config, tiny_decoder(seed=1)), _state(config, tiny_decoder(seed=1))
    one = step(whole, [pair_batch(pairs, range(8), seq_len=256)])
    eight = step(parts, [pair_batch(pairs, [i], seq_len=256) for i in range(8)])
    assert one["loss"] == pytest.approx(eight["loss"], abs=1e-6, rel=1e-6)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_steps_learn_the_preference(
    pairs: list[EncodedPair], ref_logprobs: ReferenceLogprobs
) -> None:
    config = _config()
    state = _state(config)
    step = make_dpo_step(config, ref_logprobs, reference=tiny_decoder())
    batch = pair_batch(pairs, range(NUM_PAIRS), seq_len=256)
    rows = []
    for _ in range(30):
        rows.append(step(state, [batch]))
        state.step += 1
    assert rows[-1]["loss"] < 0.1
    assert rows[-1]["reward_accuracy"] == 1.0
    assert rows[-1]["kl_to_reference"] > rows[0]["kl_to_reference"]
    assert isinstance(state.model, Decoder)
    held = evaluate_pairs(config, state.model, [batch], ref_logprobs)
    assert held["val_loss"] < 0.1
    assert held["val_accuracy"] == 1.0
    assert held["val_margin"] > 2


def test_kl_is_measured_on_schedule_and_at_the_last_step(
    pairs: list[EncodedPair], ref_logprobs: ReferenceLogprobs
) -> None:
    config = _config(kl_every=20)
    state = _state(config)
    step = make_dpo_step(config, ref_logprobs, reference=tiny_decoder())
    batch = pair_batch(pairs, [0], seq_len=256)
    measured = []
    for state.step in range(30):
        if "kl_to_reference" in step(state, [batch]):
            measured.append(state.step + 1)
    assert measured == [20, 30]
