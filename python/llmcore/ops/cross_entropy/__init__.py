"""Per-token cross-entropy: native C++ on CPU, PyTorch's kernels on CUDA."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.cross_entropy.label_error import label_error
from llmcore.ops.cross_entropy.pytorch import cross_entropy_torch
from llmcore.ops.cross_entropy.reference import cross_entropy_reference
from llmcore.ops.cross_entropy.register import (
    CrossEntropy,
    cross_entropy_native,
    cross_entropy_no_grad_native,
)
from llmcore.ops.shape_check import dtype_error, shape_error
from llmcore.shapes import IGNORE_INDEX

__all__ = ["BACKENDS", "cross_entropy"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


def cross_entropy(
    logits: Float[Tensor, "N V"],
    labels: Int[Tensor, " N"],
    *,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> Float[Tensor, " N"]:
    r"""Negative log-likelihood of each label, in nats, not reduced.

        z      = softcap * tanh(logits / softcap), or the logits where softcap is 0
        lse_n  = log sum_v exp z_nv
        loss_n = lse_n - (1 - e) z_n[label_n] - (e / V) sum_v z_nv + z_loss * lse_n^2

    Args:
        logits: Unnormalised scores; -inf takes a token out of the softmax.
        labels: int64 target ids, or `ignore_index` where there is no loss.
        ignore_index: Label whose loss and gradient are 0, whatever its logits.
        label_smoothing: e above, from 0 to below 1.
        z_loss: Weight of the auxiliary loss that holds log sum exp near 0; PaLM: 1e-4.
        softcap: Bound on the size of a logit, as in Gemma 2; 0 for none.

    Raises:
        ShapeError: the shapes do not match.
        DtypeError: `labels` is not int64.
        IndexError: a label is outside 0..V-1 and is not `ignore_index` (CPU only).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: float32 sums in an order that depends on V alone, over lanes in float64; returns
    float32 whatever the dtype of `logits`. float64 logits stay and run the reference. A row with a
    NaN, or without one finite logit, gives NaN.
    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing); Chowdhery et al.
    2022, arXiv:2204.02311, section 5 (z-loss); Gemma Team 2024, arXiv:2408.00118 (softcap).
    """
    if logits.dim() != 2:
        raise shape_error("cross_entropy", "logits", "(N, V)", logits)
    if labels.dim() != 1 or labels.shape[0] != logits.shape[0]:
        raise shape_error("cross_entropy", "labels", f"(N,) = ({logits.shape[0]},)", labels)
    if labels.dtype != torch.int64:
        raise dtype_error("cross_entropy", "labels", "int64", labels)
    chosen = choose("cross_entropy", BACKENDS, logits.device.type)
    if torch.compiler.is_compiling():
        return _run(chosen, logits, labels, ignore_index, label_smoothing, z_loss, softcap)
    try:
        return _run(chosen, logits, labels, ignore_index, label_smoothing, z_loss, softcap)
    except RuntimeError as error:
        raise label_error("cross_entropy", error) from None


def _run(
    chosen: str,
    logits: Tensor,
    labels: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float,
) -> Tensor:
    if chosen == NATIVE and logits.dtype != torch.float64:
        options = (ignore_index, label_smoothing, z_loss, softcap)
        if torch.is_grad_enabled() and logits.requires_grad:
            if torch.compiler.is_compiling():
                return _losses(cross_entropy_native(logits, labels, *options))
            return CrossEntropy.apply(logits, labels, *options)
        return _losses(cross_entropy_no_grad_native(logits, labels, *options))
    plain = cross_entropy_torch if chosen == TORCH else cross_entropy_reference
    return plain(
        logits,
        labels,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        softcap=softcap,
    )


def _losses(losses_and_lse: tuple[Tensor, Tensor]) -> Tensor:
    return losses_and_lse[0]
