"""Scale all gradients so that their common norm stays below a bound."""

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    r"""Scale gradients in place to at most `max_norm`; return the norm before.

        g <- g * min(1, max_norm / (norm + 1e-6)),   norm = sqrt(sum over all g of g^2)

    Args:
        parameters: Those without a gradient are passed over.
        max_norm: Bound on the Euclidean norm over all gradients together.

    Numerics: one float32 norm per tensor, then the norm of these; a norm that is not finite is
    returned as it is and leaves the gradients without meaning.
    Source: Pascanu et al. 2013, arXiv:1211.5063.
    """
    params = [param for param in parameters if param.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm, foreach=True)
    return float(norm)
