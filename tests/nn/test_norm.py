"""RMSNorm: golden vectors that tell its variants apart."""

import pytest
import torch

from llmcore.nn import RMSNorm


@pytest.mark.golden
@pytest.mark.parametrize(
    ("x", "eps", "expected"),
    [
        ([1, 2, 3, 4], 1e-6, [0.365148347327, 0.730296694654, 1.095445041981, 1.460593389308]),
        # Small inputs: epsilon inside the root, added to the mean square.
        ([1e-4, -2e-4, 3e-4, -4e-4], 1e-6, [0.096448564434, -0.192897128868]),
        ([1e-4, -2e-4, 3e-4, -4e-4], 1e-5, [0.031504854091, -0.063009708182]),
    ],
)
def test_golden(x: list[float], eps: float, expected: list[float]) -> None:
    got = RMSNorm(4, eps=eps)(torch.tensor([x], dtype=torch.float32))[0, : len(expected)]
    torch.testing.assert_close(got, torch.tensor(expected), rtol=2e-6, atol=0)


def test_gain_scales_each_channel() -> None:
    norm = RMSNorm(3, eps=1e-6)
    x = torch.tensor([[1.0, -2.0, 2.0]])
    before = norm(x)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 0.0, -1.0]))
    torch.testing.assert_close(norm(x), before * torch.tensor([2.0, 0.0, -1.0]))
