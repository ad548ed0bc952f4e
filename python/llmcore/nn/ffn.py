"""Gated feed-forward layer."""

from jaxtyping import Float
from torch import Tensor, nn

from llmcore import ops
from llmcore.nn.linear import Linear, linear_group


class FeedForward(nn.Module):
    """SwiGLU feed-forward: down(silu(gate(x)) * up(x)).

    Source: Shazeer 2020, arXiv:2002.05202; the first branch is the activated one, as in LLaMA.
    """

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden_size, intermediate_size)
        self.up_proj = Linear(hidden_size, intermediate_size)
        self.down_proj = Linear(intermediate_size, hidden_size)

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        gate, up = linear_group(x, (self.gate_proj, self.up_proj))
        return self.down_proj(ops.swiglu(gate, up))
