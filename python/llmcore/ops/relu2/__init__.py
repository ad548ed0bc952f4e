"""Squared ReLU: native C++ on CPU, PyTorch's kernels on CUDA."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.relu2.pytorch import relu2_torch
from llmcore.ops.relu2.reference import relu2_reference
from llmcore.ops.relu2.register import Relu2Function, relu2_native, relu2_no_grad_native
from llmcore.ops.shape_check import dtype_error

__all__ = ["BACKENDS", "relu2"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def relu2(
    x: Float[Tensor, "*batch F"],
) -> Float[Tensor, "*batch F"]:
    r"""Square the positive part.

        y = max(x, 0)^2

    Args:
        x: Activations. A view whose last axis is contiguous is not copied.

    Raises:
        DtypeError: `x` is not float32, bfloat16 or float16 (the reference takes float64 too).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `x.dtype`.
    Source: So et al. 2021, arXiv:2109.08668; RWKV and nanochat use it.
    """
    backend = choose("relu2", BACKENDS, x.device.type)
    if backend == TORCH:
        return relu2_torch(x)
    if backend != NATIVE:
        return relu2_reference(x)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("relu2", "x", "float32, bfloat16 or float16", x)
    if torch.is_grad_enabled() and x.requires_grad:
        call = relu2_native if torch.compiler.is_compiling() else Relu2Function.apply
        return call(x)
    return relu2_no_grad_native(x)
