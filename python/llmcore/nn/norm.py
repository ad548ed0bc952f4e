"""Root-mean-square normalisation as a module: the gain lives here, the maths in `llmcore.ops`."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmcore import ops


class RMSNorm(nn.Module):
    """Scale the last axis to unit root mean square, then by a learned gain that starts at one.

    Source: Zhang & Sennrich 2019, arXiv:1910.07467; epsilon inside the root, as in LLaMA.
    """

    def __init__(self, hidden_size: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        return ops.rms_norm(x, self.weight, eps=self.eps)
