import torch

from llmcore.ops import attention
from llmcore.ops.attention.cases import SPEC
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks


class TestAttention(OpChecks):
    spec = SPEC


def test_fully_masked_query_gives_zeros_and_no_gradient() -> None:
    q, k = normal(1, 3, 2, 8).requires_grad_(), normal(1, 3, 2, 8, seed=1)
    mask = torch.ones(1, 3, 3, dtype=torch.bool)
    mask[0, 1] = False
    out = attention(q, k, k, mask=mask)
    (grad,) = torch.autograd.grad(out.sum(), q)
    assert torch.equal(out[0, 1], torch.zeros(2, 8)) and torch.equal(grad[0, 1], torch.zeros(2, 8))
    assert out[0, 2].abs().sum() > 0


def test_the_last_query_sees_every_key() -> None:
    # Causal is aligned bottom-right: the tail of a long run equals the tail alone, cached.
    q, k, v = (normal(2, 9, 4, 8, seed=seed) for seed in range(3))
    whole = attention(q, k, v)
    torch.testing.assert_close(attention(q[:, 6:], k, v), whole[:, 6:])
    torch.testing.assert_close(attention(q[:, 8:], k, v), whole[:, 8:])


def test_grouped_heads_equal_repeated_heads() -> None:
    q, k = normal(2, 5, 6, 8), normal(2, 5, 2, 8, seed=1)
    repeated = k.repeat_interleave(3, dim=2)
    torch.testing.assert_close(attention(q, k, k), attention(q, repeated, repeated))
