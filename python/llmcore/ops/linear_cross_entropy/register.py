"""linear_cross_entropy for autograd, and its registration for tracing.

The traced op keeps no gradient from forward to backward: it computes logits twice.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.linear_cross_entropy.reference import weighted_sum

load_libraries()
with_gradients_native = torch.ops.llmcore.linear_cross_entropy_with_gradients.default

Options = tuple[int, float, float, float]
"""ignore_index, label_smoothing, z_loss, softcap."""


class Gradients(NamedTuple):
    """What `gradients_of` returns: None where not wanted."""

    losses: Tensor
    hidden: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def losses_of(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, options: Options
) -> Tensor:
    """Loss of each token, float32."""
    return gradients_of(hidden, weight, bias, labels, options, None, (False, False, False)).losses


def gradients_of(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    options: Options,
    dlosses: Tensor | None,
    wanted: tuple[bool, bool, bool],
) -> Gradients:
    """Losses, and the wanted gradients of hidden, weight and bias for upstream `dlosses` (N,)."""
    none = hidden.new_empty(0)
    added = none if bias is None else bias
    upstream = none if dlosses is None else dlosses
    losses, *grads = with_gradients_native(
        hidden, weight, labels, added, upstream, *options, *wanted
    )
    dhidden, dweight, dbias = (
        grad if is_wanted else None for grad, is_wanted in zip(grads, wanted, strict=True)
    )
    return Gradients(losses, dhidden, dweight, None if dbias is None else dbias.to(hidden.dtype))


class LinearCrossEntropy(torch.autograd.Function):
    """Gradients of the weighted sum in the forward; those of single losses by a second pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        token_weights: Tensor | None,
        options: Options,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.wanted, ctx.options = ctx.needs_input_grad[:3], options
        ctx.save_for_backward(hidden, weight, bias, labels, token_weights)
        dlosses = None
        if any(ctx.wanted):
            dlosses = per_token(None, token_weights, labels)
        losses, *ctx.grads = gradients_of(
            hidden, weight, bias, labels, options, dlosses, ctx.wanted
        )
        return weighted_sum(losses, token_weights), losses

    @staticmethod
    def backward(ctx: Any, dsum: Tensor | None, dlosses: Tensor | None) -> tuple[Any, ...]:
        if dlosses is None:
            return *scaled_once(ctx, dsum), None, None, None
        hidden, weight, bias, labels, token_weights = ctx.saved_tensors
        if dsum is not None:
            dlosses = dlosses + per_token(dsum, token_weights, labels)
        dlosses = dlosses.float()
        grads = gradients_of(hidden, weight, bias, labels, ctx.options, dlosses, ctx.wanted)
        return *grads[1:], None, None, None


def per_token(dsum: Tensor | None, token_weights: Tensor | None, labels: Tensor) -> Tensor:
    """Upstream gradient of each loss that enters a weighted sum of upstream gradient `dsum`."""
    weights = torch.ones(labels.shape) if token_weights is None else token_weights.detach().float()
    return weights if dsum is None else weights * dsum


def scaled_once(ctx: Any, dsum: Tensor | None) -> list[Tensor | None]:
    """The gradients of the forward times `dsum`, in place: a copy of dweight may be the largest
    tensor of a training step."""
    if ctx.grads is None:
        raise RuntimeError("linear_cross_entropy: backward must run once per call, got a second")
    grads: list[Tensor | None]
    grads, ctx.grads = ctx.grads, None
    for grad in grads:
        if grad is not None and dsum is not None and dsum.item() != 1:
            grad.mul_(dsum)
    return grads if dsum is not None else [None, None, None]


@torch.library.custom_op("llmcore::linear_cross_entropy", mutates_args=())
def linear_cross_entropy_op(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float,
) -> Tensor:
    options = (ignore_index, label_smoothing, z_loss, softcap)
    return losses_of(hidden, weight, bias if bias.numel() else None, labels, options)


@torch.library.custom_op("llmcore::linear_cross_entropy_backward", mutates_args=())
def linear_cross_entropy_backward_op(
    dlosses: Tensor,
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float,
) -> tuple[Tensor, Tensor, Tensor]:
    options = (ignore_index, label_smoothing, z_loss, softcap)
    added = bias if bias.numel() else None
    wanted = (True, True, added is not None)
    _, dhidden, dweight, dbias = gradients_of(
        hidden, weight, added, labels, options, dlosses, wanted
    )
    assert dhidden is not None and dweight is not None
    return dhidden, dweight, torch.empty_like(bias) if dbias is None else dbias


@linear_cross_entropy_op.register_fake
def _fake(hidden: Tensor, weight: Tensor, labels: Tensor, *others: Any) -> Tensor:
    return hidden.new_empty(labels.shape, dtype=torch.float32)


@linear_cross_entropy_backward_op.register_fake
def _fake_backward(
    dlosses: Tensor, hidden: Tensor, weight: Tensor, labels: Tensor, bias: Tensor, *others: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return hidden.new_empty(hidden.shape), weight.new_empty(weight.shape), torch.empty_like(bias)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.ignore_index, ctx.label_smoothing, ctx.z_loss, ctx.softcap = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, dlosses: Tensor) -> tuple[Tensor | None, ...]:
    options = (ctx.ignore_index, ctx.label_smoothing, ctx.z_loss, ctx.softcap)
    dhidden, dweight, dbias = linear_cross_entropy_backward_op(
        dlosses, *ctx.saved_tensors, *options
    )
    return dhidden, dweight, None, dbias, None, None, None, None


linear_cross_entropy_op.register_autograd(_backward, setup_context=_save)
