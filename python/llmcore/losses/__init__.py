"""Loss functions: each a page of maths, pure, with its source."""

from llmcore.losses.cross_entropy import (
    TokenLoss,
    linear_token_cross_entropy,
    token_cross_entropy,
)
from llmcore.losses.dpo import DPOLoss, dpo_loss, reward_accuracy
from llmcore.losses.kl import token_kl
from llmcore.losses.logprobs import sequence_logprobs, sum_by_sequence, token_logprobs

__all__ = [
    "DPOLoss",
    "TokenLoss",
    "dpo_loss",
    "linear_token_cross_entropy",
    "reward_accuracy",
    "sequence_logprobs",
    "sum_by_sequence",
    "token_cross_entropy",
    "token_kl",
    "token_logprobs",
]
