"""Token embedding table."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class Embedding(nn.Module):
    """One row of `weight` (V, C) per token id. The owner of the model initialises `weight`."""

    def __init__(self, vocab_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, hidden_size))

    def forward(self, input_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        return F.embedding(input_ids, self.weight)
