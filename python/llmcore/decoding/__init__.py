"""How the next token is chosen: pure functions of logits."""

from llmcore.decoding.sampling import TokenHistory, logit_edits, sample_tokens
from llmcore.decoding.sampling_params import SamplingParams

__all__ = ["SamplingParams", "TokenHistory", "logit_edits", "sample_tokens"]
