"""Exact next-token KL against torch's kl_div, and its defining properties."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F

from llmcore.errors import ShapeError
from llmcore.losses import token_kl


def _logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(4, 9, generator=torch.Generator().manual_seed(seed))


def test_two_outcomes_by_hand() -> None:
    p, q = 0.75, 0.5
    policy = torch.tensor([[math.log(p), math.log(1 - p)]])
    expected = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert float(token_kl(policy, torch.zeros(1, 2))) == pytest.approx(expected, abs=1e-6)


def test_equals_torch_kl_div() -> None:
    policy, ref = _logits(0), _logits(1)
    expected = F.kl_div(
        ref.double().log_softmax(-1),
        policy.double().log_softmax(-1),
        reduction="none",
        log_target=True,
    ).sum(-1)
    torch.testing.assert_close(token_kl(policy, ref).double(), expected, atol=1e-6, rtol=1e-5)


def test_zero_for_equal_distributions_whatever_the_offset() -> None:
    policy = _logits(2)
    assert float(token_kl(policy, policy + 5.0).abs().max()) < 1e-6


def test_low_precision_input_is_accumulated_in_float32() -> None:
    policy, ref = _logits(3).bfloat16(), _logits(4).bfloat16()
    got = token_kl(policy, ref)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, token_kl(policy.float(), ref.float()))


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ShapeError, match="token_kl: ref_logits must be"):
        inspect.unwrap(token_kl)(torch.zeros(2, 3), torch.zeros(2, 4))
