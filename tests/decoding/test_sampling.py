"""The distribution that is sampled from: golden sets, golden probabilities, chi-square."""

import math

import pytest
import torch
from torch import Tensor

from llmcore.decoding import SamplingParams, TokenHistory, logit_edits, sample_tokens
from llmcore.errors import ConfigError, DataError

pytestmark = pytest.mark.golden


def draw(logits: list[float], *, num_draws: int = 2000, **params: float) -> Tensor:
    """Counts of `num_draws` tokens at as many positions."""
    rows = torch.tensor([logits]).expand(num_draws, -1).contiguous()
    tokens = sample_tokens(
        rows,
        SamplingParams(**{"temperature": 1.0, **params}),
        seeds=torch.full((num_draws,), 11),
        positions=torch.arange(num_draws),
    )
    return torch.bincount(tokens, minlength=len(logits))


def kept(logits: list[float], **params: float) -> set[int]:
    return set(draw(logits, **params).nonzero().flatten().tolist())


SIX = [3.0, 2.0, 1.0, 0.0, -1.0, -2.0]
DYADIC = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().tolist()


def test_temperature_comes_before_top_p() -> None:
    assert kept(SIX, temperature=2.0, top_p=0.9) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(0.75, {0, 1}), (0.76, {0, 1, 2}), (0.5, {0}), (1e-9, {0}), (1.0, {0, 1, 2, 3})],
)
def test_top_p_keeps_the_smallest_set(top_p: float, expected: set[int]) -> None:
    assert kept(DYADIC, top_p=top_p) == expected


def test_top_p_renormalises(num_draws: int) -> None:
    counts = draw(DYADIC, num_draws=num_draws, top_p=0.75)
    six_sigma = 6 * math.sqrt(2 / 9 / num_draws)
    assert counts[0].item() / num_draws == pytest.approx(2 / 3, abs=six_sigma)


@pytest.mark.parametrize(("top_k", "expected"), [(2, {0, 1}), (1, {0}), (9, {0, 1, 2, 3})])
def test_top_k_keeps_exactly_k_and_the_lowest_ids(top_k: int, expected: set[int]) -> None:
    assert kept([1.0, 1.0, 1.0, 0.0], top_k=top_k) == expected


def test_top_k_comes_before_top_p() -> None:
    # Of {0, 1, 2} token 0 has mass .5 / .875 = .571: enough for .55, which .5 alone is not.
    assert kept(DYADIC, top_k=3, top_p=0.55) == {0}
    assert kept(DYADIC, top_p=0.55) == {0, 1}


def test_greedy_takes_the_lowest_of_equals() -> None:
    assert kept([0.0, 2.0, 2.0, 1.0], temperature=0.0) == {1}


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, [0.64391426, 0.23688282, 0.08714432, 0.0320586]),
        (0.5, [0.86495488, 0.11705891, 0.0158422, 0.00214401]),
        (2.0, [0.45505423, 0.27600434, 0.1674051, 0.10153632]),
    ],
)
def test_chi_square_of_200k_draws(
    temperature: float, expected: list[float], num_draws: int
) -> None:
    counts = draw([2.0, 1.0, 0.0, -1.0], num_draws=num_draws, temperature=temperature).double()
    mean = torch.tensor(expected, dtype=torch.float64) * num_draws
    statistic = float(((counts - mean) ** 2 / mean).sum())
    assert statistic < 21.108  # chi-square with 3 degrees of freedom, p = 1e-4


def test_a_draw_depends_on_its_row_only() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 50, generator=generator)
    params = SamplingParams(temperature=1.0, top_k=20, top_p=0.9)
    seeds, positions = torch.arange(8) * 7, torch.arange(8) + 100
    together = sample_tokens(logits, params, seeds=seeds, positions=positions)
    order = torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
    permuted = sample_tokens(logits[order], params, seeds=seeds[order], positions=positions[order])
    assert torch.equal(together[order], permuted)
    for row in range(8):
        cut = slice(row, row + 1)
        alone = sample_tokens(logits[cut], params, seeds=seeds[cut], positions=positions[cut])
        assert alone.item() == together[row].item()


def test_seed_and_position_both_matter() -> None:
    logits = torch.zeros(64, 1000)
    params = SamplingParams(temperature=1.0)
    zeros, steps = torch.zeros(64, dtype=torch.int64), torch.arange(64)
    by_seed = sample_tokens(logits, params, seeds=steps, positions=zeros)
    by_position = sample_tokens(logits, params, seeds=zeros, positions=steps)
    assert len(set(by_seed.tolist())) > 50
    assert len(set(by_position.tolist())) > 50


def test_min_p_and_typical_are_passed_on() -> None:
    assert kept(SIX, temperature=2.0, min_p=0.1) == {0, 1, 2, 3, 4}
    typical = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log().tolist()
    assert kept(typical, typical_p=0.3) == {1, 2}


def greedy_with(params: SamplingParams, history: TokenHistory | None = None) -> int:
    edits = logit_edits(params, vocab_size=6, device=torch.device("cpu"), history=history)
    zero = torch.zeros(1, dtype=torch.int64)
    logits = torch.tensor([SIX])
    return int(sample_tokens(logits, params, seeds=zero, positions=zero, edits=edits))


def test_bias_and_penalties_are_passed_on() -> None:
    assert greedy_with(SamplingParams(logit_bias={0: -100.0})) == 1
    ids, one = torch.tensor([[0, 1]]), torch.tensor([1])
    history = TokenHistory(ids, prompt_lens=one, lens=one + 1)
    assert greedy_with(SamplingParams(repetition_penalty=4.0), history) == 2
    assert greedy_with(SamplingParams(presence_penalty=1.5), history) == 0
    history = TokenHistory(ids, prompt_lens=one - 1, lens=one)
    assert greedy_with(SamplingParams(presence_penalty=1.5), history) == 1


def test_edits_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"logit_bias: must be ids in \[0, 6\), got 6"):
        greedy_with(SamplingParams(logit_bias={6: 1.0}))
    with pytest.raises(ConfigError, match="history must be given"):
        greedy_with(SamplingParams(presence_penalty=1.0))


def test_a_row_without_scores_is_refused() -> None:
    zero = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(DataError, match="got none in row 0"):
        sample_tokens(torch.full((1, 4), torch.nan), SamplingParams(), seeds=zero, positions=zero)
