"""Linear map over prepacked weights: native C++ on CPU, PyTorch on CUDA; forward only."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.linear.packed import PackedLinear, WeightFormat, pack_linear
from llmcore.ops.linear.reference import linear_reference
from llmcore.ops.linear.register import linear_native
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "PackedLinear", "WeightFormat", "linear", "pack_linear"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16)


def linear(
    x: Float[Tensor, "*batch I"],
    packed: PackedLinear,
    bias: Float[Tensor, " O"] | None = None,
) -> Float[Tensor, "*batch O"]:
    r"""Multiply by a packed weight, for inference.

        y_o = b_o + sum_i x_i W_oi,     W = packed.unpack()

    Args:
        x: Activations in float32 or bfloat16.
        packed: The weight from `pack_linear`, on the device of `x`.
        bias: Added to every row; in the dtype of `x`.

    Raises:
        ShapeError: `packed` or `bias` does not fit the last axis of `x`.
        DtypeError: `x` has another dtype (the reference takes float64 too), or `bias` not its.
        ConfigError: `x` or `bias` requires a gradient: the native op has none.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: sums are float32, in one order for every number of rows, thread count and position in
    the batch, so a row gives the same bits alone, in a batch and in a chunk; see csrc/ops/linear.h.
    Integer weights multiply exactly; a group's sum is scaled once. The result rounds once, to
    `x.dtype`. Where the processor's bfloat16 dot instruction serves (bfloat16 `x`), subnormal
    numbers count as zero.
    """
    if x.dim() == 0 or x.shape[-1] != packed.in_size:
        raise shape_error("linear", "x", f"(..., I) = (..., {packed.in_size})", x)
    if bias is not None:
        if tuple(bias.shape) != (packed.out_size,):
            raise shape_error("linear", "bias", f"(O,) = ({packed.out_size},)", bias)
        if bias.dtype != x.dtype:
            raise dtype_error("linear", "bias", f"{x.dtype} as x is", bias)
    if choose("linear", BACKENDS, x.device.type) != NATIVE:
        return linear_reference(x, packed, bias)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("linear", "x", "float32 or bfloat16", x)
    if torch.is_grad_enabled() and (x.requires_grad or (bias is not None and bias.requires_grad)):
        raise ConfigError(
            "linear: x must be without gradient, got requires_grad=True; "
            'packed weights are for inference, and use_backend("reference") has gradients'
        )
    if bias is None:
        bias = x.new_empty(0)
    return linear_native(x, packed.data, packed.scales, bias, packed.out_size, packed.group_size)
