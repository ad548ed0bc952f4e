"""Kullback-Leibler divergence between two models' next-token distributions."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ShapeError


def token_kl(
    policy_logits: Float[Tensor, "*batch V"], ref_logits: Float[Tensor, "*batch V"]
) -> Float[Tensor, "*batch"]:
    r"""Exact KL(policy || reference) of the next-token distribution at each position, in nats.

        kl_t = sum_v p_v * (log p_v - log q_v),  p = softmax(policy_logits_t), q = of ref_logits_t

    It sums over the whole vocabulary, so it has no sampling noise; averaged over positions of a
    *fixed* text it measures the drift on that text, not on the policy's own samples.

    Raises:
        ShapeError: the two inputs differ in shape.

    Numerics: float32 log-softmax (float64 for float64 input); never below -1e-6 by rounding.
    Source: Kullback & Leibler 1951.
    """
    if policy_logits.shape != ref_logits.shape:
        raise ShapeError(
            f"token_kl: ref_logits must be {tuple(policy_logits.shape)}, "
            f"got {tuple(ref_logits.shape)}"
        )
    policy = F.log_softmax(_at_least_float32(policy_logits), dim=-1)
    ref = F.log_softmax(_at_least_float32(ref_logits), dim=-1)
    return (policy.exp() * (policy - ref)).sum(dim=-1)


def _at_least_float32(x: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch V"]:
    return x if x.itemsize >= 4 else x.float()
