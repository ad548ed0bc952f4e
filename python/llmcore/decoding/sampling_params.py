"""What a caller may ask of the sampler, checked once."""

import math
from dataclasses import dataclass, field

from llmcore.config import Config
from llmcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams(Config):
    """Processing order: bias, penalties, temperature, top-k, top-p, min-p, typical; each
    truncation looks at what the one before left."""

    temperature: float = 0.0
    """Divides the logits; 0 is greedy (the lowest id wins a tie)."""
    top_k: int = 0
    """Keep exactly this many most likely tokens (the lowest id wins a tie); 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of most likely tokens with at least this mass, in (0, 1]."""
    min_p: float = 0.0
    """Keep what has at least this fraction of the highest probability, in [0, 1]; 0 keeps all."""
    typical_p: float = 1.0
    """Keep the tokens whose information is nearest to the entropy, with at least this mass, in
    (0, 1]; 1 keeps all."""
    repetition_penalty: float = 1.0
    """Divides the positive and multiplies the other scores of tokens in prompt and answer."""
    frequency_penalty: float = 0.0
    """Taken off a token's score for each time that it is in the answer, in [-2, 2]."""
    presence_penalty: float = 0.0
    """Taken off a token's score if it is in the answer, in [-2, 2]."""
    logit_bias: dict[int, float] = field(default_factory=dict)
    """Token id -> value added to its score, in [-100, 100]; the ends ban and force."""
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
        if not 0.0 <= self.min_p <= 1.0:
            raise ConfigError(f"min_p: must be in [0, 1], got {self.min_p}")
        if not 0.0 < self.typical_p <= 1.0:
            raise ConfigError(f"typical_p: must be in (0, 1], got {self.typical_p}")
        self._validate_edits()
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed: must be in [0, 2^63), got {self.seed}")
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens: must be at least 1, got {self.max_new_tokens}")
        if any(stop_id < 0 for stop_id in self.stop_ids):
            raise ConfigError(f"stop_ids: must be token ids, got {self.stop_ids}")

    def _validate_edits(self) -> None:
        penalty = self.repetition_penalty
        if not (penalty > 0.0 and math.isfinite(penalty)):
            raise ConfigError(f"repetition_penalty: must be above 0, got {penalty}")
        for name in ("frequency_penalty", "presence_penalty"):
            value = getattr(self, name)
            if not -2.0 <= value <= 2.0:
                raise ConfigError(f"{name}: must be in [-2, 2], got {value}")
        for token_id, value in self.logit_bias.items():
            if token_id < 0 or not -100.0 <= value <= 100.0:
                raise ConfigError(
                    "logit_bias: must be token ids and values in [-100, 100], "
                    f"got {token_id} and {value}"
                )

    @property
    def has_penalties(self) -> bool:
        """Whether a draw depends on the tokens before it."""
        strengths = (self.repetition_penalty, self.frequency_penalty, self.presence_penalty)
        return strengths != (1.0, 0.0, 0.0)
