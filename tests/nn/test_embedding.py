"""Token embedding."""

import torch

from llmcore.nn import Embedding


def test_looks_up_rows_and_sends_gradients_back() -> None:
    embed = Embedding(4, 2)
    with torch.no_grad():
        embed.weight.copy_(torch.arange(8.0).view(4, 2))
    out = embed(torch.tensor([[3, 1, 3]]))
    assert out.tolist() == [[[6.0, 7.0], [2.0, 3.0], [6.0, 7.0]]]
    out.sum().backward()
    assert embed.weight.grad is not None
    assert embed.weight.grad[:, 0].tolist() == [0.0, 1.0, 0.0, 2.0]
