"""Output projection and cross-entropy in one: never the N x V logits. Native on CPU."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.cross_entropy.label_error import label_error
from llmcore.ops.linear_cross_entropy.reference import linear_cross_entropy_reference, weighted_sum
from llmcore.ops.linear_cross_entropy.register import LinearCrossEntropy, linear_cross_entropy_op
from llmcore.ops.shape_check import dtype_error, shape_error
from llmcore.shapes import IGNORE_INDEX

__all__ = ["BACKENDS", "linear_cross_entropy"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
DTYPES: Final = (torch.float32, torch.bfloat16, torch.float64)


def linear_cross_entropy(
    hidden: Float[Tensor, "N C"],
    weight: Float[Tensor, "V C"],
    labels: Int[Tensor, " N"],
    *,
    bias: Float[Tensor, " V"] | None = None,
    token_weights: Float[Tensor, " N"] | None = None,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
    r"""Weighted sum of the tokens' losses, and the losses, of cross_entropy(hidden @ weight^T).

        losses_n = cross_entropy(hidden_n weight^T + bias, labels_n)
        loss_sum = sum_n token_weights_n losses_n

    A trainer divides by its trained tokens through `token_weights` or after the call. A gradient of
    `loss_sum` costs three matrix products, as unfused: the call computes it while a chunk of logits
    is at hand. A gradient of `losses`, which comes token by token, is exact too, but costs four
    more: where a loss is not linear in them (DPO), call once under `torch.no_grad()`, then with
    the derivatives as `token_weights`.

    Args:
        hidden: Activations before the output projection, float32 or bfloat16.
        weight: Output projection (tied embedding or lm_head), dtype of `hidden`.
        labels: int64 target ids, or `ignore_index` where there is no loss.
        bias: Added to the logits, dtype of `hidden`.
        token_weights: Weight of each token in the sum, float32, without gradient; None: all 1.
        ignore_index, label_smoothing, z_loss, softcap: As in `cross_entropy`.

    Raises:
        ShapeError: the shapes do not match.
        DtypeError: `labels` is not int64, or `weight` or `bias` not of the dtype of `hidden`.
        IndexError: a label is outside 0..V-1 and is not `ignore_index` (CPU only).
        RuntimeError: a second backward through one call.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: logits round to the dtype of `hidden`, losses and loss_sum are float32. The tokens go
    through in at most 4 chunks, between which a bfloat16 gradient of `weight` is rounded. A token's
    loss is the same to the bit in any batch. float64 runs the reference.
    Memory: one chunk, N/4 or 256 rows of logits: 1/12 of what unfused training needs. A `hidden` or
    `weight` that is not contiguous is copied.
    Source: the chunks of Hsu et al. 2024 (Liger Kernel), arXiv:2410.10989, section 3.
    """
    _check_shapes(hidden, weight, labels, bias, token_weights)
    _check_dtypes(hidden, weight, labels, bias)
    options = (ignore_index, label_smoothing, z_loss, softcap)
    chosen = choose("linear_cross_entropy", BACKENDS, hidden.device.type)
    if chosen != NATIVE or hidden.dtype == torch.float64:
        try:
            return linear_cross_entropy_reference(
                hidden,
                weight,
                labels,
                bias=bias,
                token_weights=token_weights,
                ignore_index=ignore_index,
                label_smoothing=label_smoothing,
                z_loss=z_loss,
                softcap=softcap,
            )
        except RuntimeError as error:
            raise label_error("linear_cross_entropy", error) from None
    if torch.compiler.is_compiling():
        added = hidden.new_empty(0) if bias is None else bias
        losses = linear_cross_entropy_op(hidden, weight, labels, added, *options)
        return weighted_sum(losses, token_weights), losses
    try:
        sum_and_losses: tuple[Tensor, Tensor] = LinearCrossEntropy.apply(
            hidden, weight, bias, labels, token_weights, options
        )
    except RuntimeError as error:
        raise label_error("linear_cross_entropy", error) from None
    return sum_and_losses


def _check_shapes(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor | None,
    token_weights: Tensor | None,
) -> None:
    op = "linear_cross_entropy"
    if hidden.dim() != 2:
        raise shape_error(op, "hidden", "(N, C)", hidden)
    if weight.dim() != 2 or weight.shape[1] != hidden.shape[1]:
        raise shape_error(op, "weight", f"(V, C) = (V, {hidden.shape[1]})", weight)
    per_token = f"(N,) = ({hidden.shape[0]},)"
    if labels.shape != hidden.shape[:1]:
        raise shape_error(op, "labels", per_token, labels)
    if token_weights is not None and token_weights.shape != labels.shape:
        raise shape_error(op, "token_weights", per_token, token_weights)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise shape_error(op, "bias", f"(V,) = ({weight.shape[0]},)", bias)


def _check_dtypes(hidden: Tensor, weight: Tensor, labels: Tensor, bias: Tensor | None) -> None:
    op = "linear_cross_entropy"
    if hidden.dtype not in DTYPES:
        raise dtype_error(op, "hidden", "float32 or bfloat16", hidden)
    if labels.dtype != torch.int64:
        raise dtype_error(op, "labels", "int64", labels)
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.dtype != hidden.dtype:
            raise dtype_error(op, name, f"{hidden.dtype} as hidden is", tensor)
