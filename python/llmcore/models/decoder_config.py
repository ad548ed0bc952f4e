"""Shape of a decoder, and the costs that follow from it alone."""

from dataclasses import dataclass

from llmcore.config import Config
from llmcore.errors import ConfigError

_POSITIVE_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "max_seq_len",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig(Config):
    """A Llama-style decoder: pre-RMSNorm, rotary positions, grouped queries, SwiGLU, no biases."""

    vocab_size: int
    """V: rows of the embedding and of the head."""
    hidden_size: int
    """C: width of the residual stream; a multiple of `num_heads`."""
    intermediate_size: int
    """F: width of the feed-forward layer."""
    num_layers: int
    """Number of attention + feed-forward blocks."""
    num_heads: int
    """H: query heads; a multiple of `num_kv_heads`."""
    num_kv_heads: int
    """Hkv: key/value heads."""
    head_dim: int
    """D: channels per head, even; usually `hidden_size / num_heads`."""
    max_seq_len: int
    """Longest sequence in tokens; positions run from 0 to `max_seq_len - 1`."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies."""
    norm_eps: float = 1e-5
    """Added to the mean square in every RMSNorm."""
    tie_embeddings: bool = True
    """Whether the head reuses the embedding matrix."""
    init_std: float = 0.02
    """Standard deviation of the normal distribution that every matrix starts from."""

    def validate(self) -> None:
        for name in _POSITIVE_COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"num_heads: must be a multiple of num_kv_heads = {self.num_kv_heads}, "
                f"got {self.num_heads}"
            )
        if self.hidden_size % self.num_heads:
            raise ConfigError(
                f"hidden_size: must be a multiple of num_heads = {self.num_heads}, "
                f"got {self.hidden_size}"
            )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim: must be even for rotary positions, got {self.head_dim}")
        for name in ("rope_theta", "norm_eps"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: must be above 0, got {getattr(self, name)}")
        if not self.init_std >= 0:
            raise ConfigError(f"init_std: must be at least 0, got {self.init_std}")

    def num_params(self) -> int:
        """Exact number of parameters; a tied head counts once."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        norms = (2 * self.num_layers + 1) * self.hidden_size
        return embeddings + self._num_block_matrix_params() + norms

    def flops_per_token(self, seq_len: int) -> int:
        """Floating-point operations per trained token, forward and backward, at length `seq_len`.

        6 per matrix parameter (the head included, the lookup not) plus 12 L H D T for the scores
        and the mix, not halved for causality. Source: Chowdhery et al. 2022, arXiv:2204.02311, B.
        """
        matmul_params = self._num_block_matrix_params() + self.vocab_size * self.hidden_size
        return 6 * matmul_params + 12 * self.num_layers * self.num_heads * self.head_dim * seq_len

    def kv_bytes_per_token(self, bytes_per_element: int) -> int:
        """Bytes of keys and values that one cached token takes over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * bytes_per_element

    def _num_block_matrix_params(self) -> int:
        attention = self.hidden_size * self.head_dim * 2 * (self.num_heads + self.num_kv_heads)
        ffn = 3 * self.hidden_size * self.intermediate_size
        return self.num_layers * (attention + ffn)
