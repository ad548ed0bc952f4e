import numpy as np
import pytest
import torch

from llmcore.ops import sample
from llmcore.ops.cases import normal
from llmcore.ops.sampling.cases import SPEC
from llmcore.ops.sampling.philox import philox4x32, uniform, uniforms
from tests.support.check_op import OpChecks


class TestSampling(OpChecks):
    spec = SPEC


def draw(logits: torch.Tensor, *, num: int = 1, **changes: float) -> list[int]:
    """Draw `num` times from one row of logits, at positions 0, 1, ..."""
    params = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | changes
    positions = torch.arange(num)
    seeds = torch.full((num,), 11)
    return sample(logits.expand(num, -1), seeds=seeds, positions=positions, **params).tolist()


@pytest.mark.golden
def test_philox_known_answers() -> None:
    # Random123's kat_vectors for philox4x32 with 10 rounds.
    zeros = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox4x32((0, 0, 0, 0), (0, 0)) == zeros
    counter = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    digits = (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)
    assert philox4x32(counter, (0xA4093822, 0x299F31D0)) == digits


def test_batched_uniforms_equal_single_ones() -> None:
    seeds, positions = np.array([0, -1, 2**62]), np.array([5, 2**40, 0])
    expected = [uniform(int(s), int(p)) for s, p in zip(seeds, positions, strict=True)]
    assert uniforms(seeds, positions).tolist() == expected


def test_ties_go_to_the_lowest_id() -> None:
    logits = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    assert draw(logits, temperature=0.0) == [0]
    assert set(draw(logits, num=200, top_k=2)) == {0, 1}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert set(draw(logits, num=300, top_p=0.5)) == {0}
    assert set(draw(logits, num=300, top_p=0.79)) == {0, 1}
    assert set(draw(logits, num=300, top_p=0.9)) == {0, 1, 2}
    # top-p looks at what top-k kept: of two tokens the first holds 0.625.
    assert set(draw(logits, num=300, top_k=2, top_p=0.6)) == {0}


def test_frequencies_follow_the_softmax() -> None:
    probs, num = [0.4, 0.3, 0.2, 0.1], 20_000
    counts = np.bincount(draw(torch.tensor([probs]).log(), num=num), minlength=4)
    expected = num * np.array(probs)
    # 99.9 % point of chi-square with three degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 16.27


def test_a_row_draws_the_same_alone_and_in_any_batch() -> None:
    logits, rows = normal(9, 100), torch.arange(9)
    options = {"temperature": 0.9, "top_k": 20, "top_p": 0.9}
    together = sample(logits, seeds=rows, positions=rows + 3, **options)
    alone = sample(logits[4:5], seeds=rows[4:5], positions=rows[4:5] + 3, **options)
    assert alone.item() == together[4].item()
