"""Grouped-query self-attention, and the small protocol through which a cache takes part."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcore import ops
from llmcore.nn.linear import Linear, linear_group


@runtime_checkable
class AttentionCache(Protocol):
    """Keys and values of earlier tokens. A model calls `extend` once per layer, then `advance`."""

    @property
    def num_positions(self) -> int:
        """Tokens of the longest row so far, padding not counted."""
        ...

    def positions(self, num_tokens: int) -> Int[Tensor, " T"] | Int[Tensor, "B T"]:
        """Rotary positions of the next `num_tokens` tokens."""
        ...

    def keep_mask(self, num_tokens: int) -> Bool[Tensor, "B T S"] | None:
        """Slots that the next `num_tokens` queries may see, besides causality; None keeps all."""
        ...

    def extend(
        self, layer_idx: int, k: Float[Tensor, "B T Hkv D"], v: Float[Tensor, "B T Hkv D"]
    ) -> tuple[Float[Tensor, "B S Hkv D"], Float[Tensor, "B S Hkv D"]]:
        """Store the new keys and values of one layer; return all of them, old ones first."""
        ...

    def advance(self, num_tokens: int) -> None:
        """Count the tokens that every layer has stored."""
        ...


class SelfAttention(nn.Module):
    """Causal attention with H query heads over Hkv key/value heads and rotary positions.

    Query head h reads key/value head floor(h / (H / Hkv)).
    Source: Ainslie et al. 2023, arXiv:2305.13245.
    """

    def __init__(
        self, hidden_size: int, *, num_heads: int, num_kv_heads: int, head_dim: int, layer_idx: int
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.layer_idx = layer_idx
        self.q_proj = Linear(hidden_size, num_heads * head_dim)
        self.k_proj = Linear(hidden_size, num_kv_heads * head_dim)
        self.v_proj = Linear(hidden_size, num_kv_heads * head_dim)
        self.o_proj = Linear(num_heads * head_dim, hidden_size)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        *,
        rotary: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "B T S"] | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        cos, sin = rotary
        q, k, v = linear_group(x, (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (t.unflatten(-1, (-1, self.head_dim)) for t in (q, k, v))  # -> B T H D
        q = ops.rope(q, cos, sin)
        k = ops.rope(k, cos, sin)
        if cache is not None:
            k, v = cache.extend(self.layer_idx, k, v)
        mixed = ops.attention(q, k, v, mask=mask, segment_ids=segment_ids)
        return self.o_proj(mixed.flatten(-2))
