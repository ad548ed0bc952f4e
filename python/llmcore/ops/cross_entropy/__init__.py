"""Per-token cross-entropy: PyTorch's log-softmax and NLL kernels on every device, for now."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.ops.backend import TORCH, choose
from llmcore.ops.cross_entropy.pytorch import cross_entropy_torch
from llmcore.ops.cross_entropy.reference import cross_entropy_reference
from llmcore.ops.cross_entropy.register import cross_entropy_op
from llmcore.ops.shape_check import dtype_error, shape_error
from llmcore.shapes import IGNORE_INDEX

__all__ = ["BACKENDS", "cross_entropy", "cross_entropy_op"]

BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


def cross_entropy(
    logits: Float[Tensor, "N V"],
    labels: Int[Tensor, " N"],
    *,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
) -> Float[Tensor, " N"]:
    r"""Negative log-likelihood of each label, in nats, not reduced.

        loss_n = -(1 - e) log p_n[label_n] - (e / V) sum_v log p_n[v],  p_n = softmax(logits_n)

    Args:
        logits: Unnormalised scores.
        labels: int64 target ids, or `ignore_index` where there is no loss.
        ignore_index: Label whose loss and gradient are 0.
        label_smoothing: e above, from 0 to below 1.

    Raises:
        ShapeError: the shapes do not match.
        DtypeError: `labels` is not int64.
        IndexError: a label is outside 0..V-1 and is not `ignore_index` (CPU only).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes and returns float32 whatever the dtype of `logits` (float64 stays).
    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing).
    """
    if logits.dim() != 2:
        raise shape_error("cross_entropy", "logits", "(N, V)", logits)
    if labels.dim() != 1 or labels.shape[0] != logits.shape[0]:
        raise shape_error("cross_entropy", "labels", f"(N,) = ({logits.shape[0]},)", labels)
    if labels.dtype != torch.int64:
        raise dtype_error("cross_entropy", "labels", "int64", labels)
    if choose("cross_entropy", BACKENDS, logits.device.type) == TORCH:
        return cross_entropy_torch(
            logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing
        )
    return cross_entropy_reference(
        logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing
    )
