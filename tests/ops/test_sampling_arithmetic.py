"""The numbers that every backend of sample must agree on: random bits, weights, products."""

import math

import pytest
import torch

from llmcore.ops import Logprobs, sample
from llmcore.ops.cases import normal
from llmcore.ops.sampling.philox import philox4x32, random_bits, random_bits_of
from llmcore.ops.sampling.weights import (
    exponents,
    product_over_2_53,
    scaled_exp2,
    weight_bits,
    weights,
)


@pytest.mark.golden
def test_philox_known_answers() -> None:
    # Random123's kat_vectors for philox4x32 with 10 rounds.
    zeros = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox4x32((0, 0, 0, 0), (0, 0)) == zeros
    counter = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    digits = (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)
    assert philox4x32(counter, (0xA4093822, 0x299F31D0)) == digits


def test_batched_random_bits_equal_single_ones() -> None:
    seeds, positions = torch.tensor([0, -1, 2**62, -(2**63)]), torch.tensor([5, 2**40, 0, -7])
    expected = [random_bits(int(s), int(p)) for s, p in zip(seeds, positions, strict=True)]
    assert random_bits_of(seeds, positions).tolist() == expected


def test_the_stream_of_a_seed_never_changes() -> None:
    # Drawn by the first release (float64 running sums): the stream is part of the contract.
    rows = torch.arange(12)
    logits = normal(12, 1000)
    ids = sample(logits, seeds=rows * 7 - 3, positions=rows, temperature=0.8, top_k=50, top_p=0.9)
    assert ids.tolist() == [518, 452, 74, 878, 822, 473, 703, 184, 305, 662, 697, 831]


def test_exp2_is_accurate() -> None:
    x = -64 * torch.rand(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    relative = scaled_exp2(x, 0) / x.exp2() - 1
    assert relative.abs().max() < 1e-13
    assert scaled_exp2(torch.zeros(1, dtype=torch.float64), 45) == 2.0**45


def test_weights_are_the_definitions_to_the_last_unit() -> None:
    """A top-p that the first two of three weights reach exactly, and one that they just miss.

    The kernel's sums must not fuse a multiplication with an addition; only this test would see it.
    """
    num_rows, bits = 500, weight_bits(3)
    scores = normal(num_rows, 3).abs().neg().sort(descending=True).values
    weight = weights(exponents(scores, scores[:, :1], torch.ones(1).double()), bits)
    rows = torch.arange(num_rows)
    for extra, num_kept in ((0, 2), (1, 3)):
        goals = (weight[:, 0] + weight[:, 1] + extra).tolist()
        totals = weight.sum(dim=1).tolist()
        top_p = [(goal * 2**53 // total) / 2**53 for goal, total in zip(goals, totals, strict=True)]
        found = sample(
            scores,
            seeds=rows,
            positions=rows,
            top_p=torch.tensor(top_p, dtype=torch.float64),
            logprobs=Logprobs(num=3, processed=True),
        )
        assert ((found.top_logprobs > -math.inf).sum(dim=1) == num_kept).all()


def test_product_over_2_53_is_exact() -> None:
    totals = [0, 1, 2**53, 2**62 - 1, 3**39, 12345678901234567]
    units = [0, 1, 2**53, 2**53 - 1, 3**33, 2**27 + 1]
    for total in totals:
        for unit in units:
            floor, has_rest = product_over_2_53(torch.tensor(total), torch.tensor(unit))
            assert int(floor) == total * unit >> 53
            assert bool(has_rest) == bool(total * unit % 2**53)
