"""Token and sequence log-probabilities against log_softmax in float64."""

import inspect

import pytest
import torch

from llmcore.errors import ShapeError
from llmcore.losses import sequence_logprobs, sum_by_sequence, token_logprobs
from llmcore.shapes import IGNORE_INDEX


def _case() -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[IGNORE_INDEX, 1, 2, 3], [0, 5, IGNORE_INDEX, IGNORE_INDEX]])
    return logits, labels


def test_token_logprobs_are_the_gathered_log_softmax() -> None:
    logits, labels = _case()
    kept = labels != IGNORE_INDEX
    gathered = logits.double().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    got = token_logprobs(logits, labels)
    torch.testing.assert_close(got[kept].double(), gathered[kept], atol=1e-6, rtol=1e-6)
    assert bool((got[~kept] == 0).all())


def test_sequence_logprobs_sum_completion_tokens_only() -> None:
    logits, labels = _case()
    logprobs = logits.double().log_softmax(-1)
    expected = torch.stack(
        [
            logprobs[0, 1, 1] + logprobs[0, 2, 2] + logprobs[0, 3, 3],
            logprobs[1, 0, 0] + logprobs[1, 1, 5],
        ]
    )
    got = sequence_logprobs(logits, labels)
    torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=1e-6)


def test_gradcheck_in_float64() -> None:
    logits, labels = _case()
    assert torch.autograd.gradcheck(
        lambda x: sequence_logprobs(x, labels), logits.double().requires_grad_()
    )


def test_sum_by_sequence_adds_and_leaves_empty_sequences_at_zero() -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 8.0])
    sums = sum_by_sequence(values, torch.tensor([2, 0, 2, 0]), num_sequences=4)
    assert sums.tolist() == [10.0, 0.0, 5.0, 0.0]


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ShapeError, match="token_logprobs: labels must be"):
        inspect.unwrap(token_logprobs)(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ShapeError, match="sum_by_sequence: sequence_idx must be"):
        inspect.unwrap(sum_by_sequence)(
            torch.zeros(2), torch.zeros(3, dtype=torch.int64), num_sequences=1
        )
