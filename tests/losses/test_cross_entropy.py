"""Summed token cross-entropy against the closed form, float64 gradients and exact accumulation."""

import inspect
import math

import pytest
import torch

from llmcore.errors import ShapeError
from llmcore.losses import linear_token_cross_entropy, token_cross_entropy
from llmcore.shapes import IGNORE_INDEX


def test_two_tokens_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)], [5.0, 1.0]])
    loss = token_cross_entropy(logits, torch.tensor([0, 1, IGNORE_INDEX]))
    assert float(loss.loss_sum) == pytest.approx(math.log(2) + math.log(4 / 3), abs=1e-6)
    assert loss.num_tokens == 2


def test_leading_axes_do_not_matter() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, IGNORE_INDEX], [4, 2, 3]])
    flat = token_cross_entropy(logits.reshape(6, 5), labels.reshape(6))
    nested = token_cross_entropy(logits, labels)
    assert torch.equal(flat.loss_sum, nested.loss_sum)
    assert flat.num_tokens == nested.num_tokens == 5


def test_micro_batches_normalise_by_all_tokens() -> None:
    # Sums 6 over 3 tokens and 10 over 1 token: 4.0, where a mean of means would give 6.0.
    def uniform(num_tokens: int, total: float) -> tuple[torch.Tensor, torch.Tensor]:
        per_token = total / num_tokens
        other = math.log(math.expm1(per_token))  # logsumexp([0, other]) = per_token
        return torch.tensor([[0.0, other]] * num_tokens), torch.zeros(num_tokens, dtype=torch.int64)

    parts = [token_cross_entropy(*uniform(3, 6.0)), token_cross_entropy(*uniform(1, 10.0))]
    mean = sum(float(p.loss_sum) for p in parts) / sum(p.num_tokens for p in parts)
    assert mean == pytest.approx(4.0, abs=1e-6)


def test_gradient_is_softmax_minus_one_hot() -> None:
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = torch.tensor([0, 6, IGNORE_INDEX, 3])
    token_cross_entropy(logits, labels).loss_sum.backward()
    expected = logits.detach().softmax(-1)
    for row, label in enumerate(labels.tolist()):
        if label == IGNORE_INDEX:
            expected[row] = 0
        else:
            expected[row, label] -= 1
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected, atol=1e-6, rtol=1e-5)


def test_gradcheck_in_float64() -> None:
    labels = torch.tensor([1, IGNORE_INDEX, 2])
    logits = torch.randn(
        3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True
    )
    assert torch.autograd.gradcheck(lambda x: token_cross_entropy(x, labels).loss_sum, logits)


def test_label_smoothing_mixes_in_the_uniform_target() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 4])
    logprobs = logits.log_softmax(-1)
    expected = -(0.9 * logprobs[range(3), labels] + 0.1 * logprobs.mean(-1)).sum()
    got = token_cross_entropy(logits, labels, label_smoothing=0.1).loss_sum
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_wrong_labels_shape_is_named() -> None:
    with pytest.raises(ShapeError, match=r"labels must be \(3,\), got \(4,\)"):
        inspect.unwrap(token_cross_entropy)(torch.zeros(3, 5), torch.zeros(4, dtype=torch.int64))


def test_fused_with_the_projection_it_is_the_same() -> None:
    generator = torch.Generator().manual_seed(4)
    hidden = torch.randn(2, 3, 8, generator=generator, requires_grad=True)
    weight = torch.randn(11, 8, generator=generator, requires_grad=True)
    labels = torch.tensor([[0, 1, IGNORE_INDEX], [10, 2, 3]])
    fused = linear_token_cross_entropy(hidden, weight, labels, z_loss=1e-3)
    plain = token_cross_entropy(hidden @ weight.t(), labels, z_loss=1e-3)
    assert fused.num_tokens == plain.num_tokens == 5
    torch.testing.assert_close(fused.loss_sum, plain.loss_sum, rtol=1e-6, atol=0)
    got = torch.autograd.grad(fused.loss_sum / 5, (hidden, weight))
    expected = torch.autograd.grad(plain.loss_sum / 5, (hidden, weight))
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_z_loss_of_palm() -> None:
    # facts 9.5: logits [2, 1, 0] have ln Z = 2.40760596444 and 1e-4 ln^2 Z = 5.796566e-4.
    logits, label = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([1])
    plain = token_cross_entropy(logits, label).loss_sum
    added = token_cross_entropy(logits, label, z_loss=1e-2).loss_sum - plain
    assert float(added) == pytest.approx(5.796566e-2, rel=1e-5)


def test_wrong_labels_shape_of_the_fused_loss_is_named() -> None:
    wrong = (torch.zeros(3, 5), torch.zeros(7, 5), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"labels must be \(3,\), got \(4,\)"):
        inspect.unwrap(linear_token_cross_entropy)(*wrong)
