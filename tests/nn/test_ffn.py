"""SwiGLU feed-forward: the activated branch is the gate."""

import torch

from llmcore.nn import FeedForward


def test_gate_is_the_activated_branch() -> None:
    ffn = FeedForward(1, 1)
    with torch.no_grad():
        ffn.gate_proj.weight.fill_(1.0)
        ffn.up_proj.weight.fill_(10.0)
        ffn.down_proj.weight.fill_(0.5)
    # 0.5 * silu(3) * 30 with silu(3) = 2.8577223805 of the facts sheet.
    assert torch.allclose(ffn(torch.tensor([[3.0]])), torch.tensor([[42.8658357]]), rtol=1e-6)
