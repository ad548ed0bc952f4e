"""What an attention layer fixes once: which pairs positions keep, and how scores are shaped."""

import math
from dataclasses import dataclass
from typing import Final

from llmcore.errors import ConfigError

SPARSE_KINDS: Final = (
    "full",
    "strided",
    "local_or_strided",
    "fixed_local",
    "fixed_summary",
    "fixed",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionSpec:
    """Position rules and score shape; query position i and key s are kept if every rule agrees."""

    causal: bool = True
    """Keep s <= i (and, with `prefix_lens`, every s inside the prefix)."""
    window: int = 0
    """Keep |i - s| < window: with `causal` the latest `window` keys, its own among them; 0: all.

    This is the W of Hugging Face and Mistral; FlashAttention counts W - 1.
    """
    sparse: str = "full"
    """Pattern of the Sparse Transformer, l = `stride`, c = `summary`: `strided` s = i mod l;
    `local_or_strided` adds |i - s| < l; `fixed_local` the same block of l; `fixed_summary` the
    last c of every block; `fixed` either of the two. Source: Child et al. 2019, arXiv:1904.10509.
    """
    stride: int = 0
    """l above, in tokens; at least 1 unless `sparse` is `full`."""
    summary: int = 0
    """c above, from 1 to l where the pattern has one."""
    scale: float | None = None
    """Factor on the scores; None is 1 / sqrt(D). T5 uses 1."""
    softcap: float = 0.0
    """Scores become cap * tanh(score / cap) before bias and mask; 0: none. Gemma 2: 50."""
    dropout: float = 0.0
    """Probability that an attention weight is dropped, in [0, 1); the rest grows by 1 / (1 - p)."""

    def __post_init__(self) -> None:
        if self.window < 0:
            raise ConfigError(f"attention: window must be at least 0, got {self.window}")
        if self.sparse not in SPARSE_KINDS:
            raise ConfigError(
                f"attention: sparse must be one of {', '.join(SPARSE_KINDS)}, got {self.sparse}"
            )
        if self.sparse != "full" and self.stride < 1:
            raise ConfigError(f"attention: stride must be at least 1, got {self.stride}")
        if self.sparse in ("fixed_summary", "fixed") and not 1 <= self.summary <= self.stride:
            raise ConfigError(
                f"attention: summary must be from 1 to stride {self.stride}, got {self.summary}"
            )
        if self.scale is not None and not math.isfinite(self.scale):
            raise ConfigError(f"attention: scale must be finite, got {self.scale}")
        if not (self.softcap >= 0 and math.isfinite(self.softcap)):
            raise ConfigError(f"attention: softcap must be finite and >= 0, got {self.softcap}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"attention: dropout must be in [0, 1), got {self.dropout}")


CAUSAL: Final = AttentionSpec()
FULL: Final = AttentionSpec(causal=False)
