"""What a caller may ask of the sampler, checked once."""

from dataclasses import dataclass

from llmcore.config import Config
from llmcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams(Config):
    """Processing order: temperature, then top-k, then top-p on what is left."""

    temperature: float = 0.0
    """Divides the logits; 0 is greedy (the lowest id wins a tie)."""
    top_k: int = 0
    """Keep exactly this many most likely tokens (the lowest id wins a tie); 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of most likely tokens with at least this mass, in (0, 1]."""
    seed: int = 0
    """Key of the random stream, in [0, 2^63); the same seed gives the same tokens in any batch."""
    max_new_tokens: int = 128
    """Stop after this many new tokens, at least 1."""
    stop_ids: tuple[int, ...] = ()
    """Stop when one of these ids is drawn; it is not part of the result."""

    def validate(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise ConfigError(f"temperature: must be at least 0, got {self.temperature}")
        if self.top_k < 0:
            raise ConfigError(f"top_k: must be at least 0, got {self.top_k}")
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigError(f"top_p: must be in (0, 1], got {self.top_p}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed: must be in [0, 2^63), got {self.seed}")
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens: must be at least 1, got {self.max_new_tokens}")
        if any(stop_id < 0 for stop_id in self.stop_ids):
            raise ConfigError(f"stop_ids: must be token ids, got {self.stop_ids}")
