"""GELU: native C++ on CPU, PyTorch's kernel on CUDA."""

from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.gelu.pytorch import gelu_torch
from llmcore.ops.gelu.reference import gelu_reference
from llmcore.ops.gelu.register import GeluFunction, gelu_native, gelu_no_grad_native
from llmcore.ops.shape_check import dtype_error

__all__ = ["BACKENDS", "gelu"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def gelu(
    x: Float[Tensor, "*batch F"],
    *,
    approximate: Literal["none", "tanh"] = "none",
) -> Float[Tensor, "*batch F"]:
    r"""Weigh each activation by the normal distribution function of itself.

        y = x Phi(x)                                                     approximate = "none"
        y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2            approximate = "tanh"

    Args:
        x: Activations. A view whose last axis is contiguous is not copied.
        approximate: "none" is exact, "tanh" the form of GPT-2, BLOOM and Gemma.

    Raises:
        DtypeError: `x` is not float32, bfloat16 or float16 (the reference takes float64 too).
        ConfigError: `approximate` is neither.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: computes in float32, rounds once to `x.dtype`. In bfloat16 the elementary functions
    are exact to 2^-15 only, so a result is within 0.51 units of its last place.
    The negative tail keeps its relative accuracy, which 1 + erf and 1 + tanh lose.
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ConfigError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    backend = choose("gelu", BACKENDS, x.device.type)
    if backend == TORCH:
        return gelu_torch(x, approximate=approximate)
    if backend != NATIVE:
        return gelu_reference(x, approximate=approximate)
    if x.dtype not in NATIVE_DTYPES:
        raise dtype_error("gelu", "x", "float32, bfloat16 or float16", x)
    if torch.is_grad_enabled() and x.requires_grad:
        call = gelu_native if torch.compiler.is_compiling() else GeluFunction.apply
        return call(x, approximate == "tanh")
    return gelu_no_grad_native(x, approximate == "tanh")
