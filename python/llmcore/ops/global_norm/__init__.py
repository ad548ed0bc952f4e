"""Euclidean norm over many tensors together: native C++ on CPU, PyTorch on CUDA."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.global_norm.pytorch import global_norm_torch
from llmcore.ops.global_norm.reference import global_norm_reference
from llmcore.ops.global_norm.register import global_norm_native
from llmcore.ops.shape_check import dtype_error

__all__ = ["BACKENDS", "global_norm"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


@torch.no_grad()
def global_norm(tensors: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    r"""Euclidean norm over all elements of all tensors; 0 for none. It has no gradient.

        norm = sqrt(sum over tensors and elements of x^2)

    Args:
        tensors: Any shapes, float32, bfloat16 or float16, on one device; each is read once.

    Raises:
        DtypeError: a tensor is not of these dtypes (float64 runs the reference).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: float64 squares and sums, so nothing over- or underflows, in an order that depends on
    the sizes alone; the result is float32 (float64 where a tensor is). NaN and infinity show.
    Source: Pascanu et al. 2013, arXiv:1211.5063, where gradients are clipped by it.
    """
    if not tensors:
        return torch.zeros(())
    chosen = choose("global_norm", BACKENDS, tensors[0].device.type)
    if chosen == NATIVE and tensors[0].dtype != torch.float64:
        try:
            norm: Tensor = global_norm_native(list(tensors))
        except RuntimeError:
            _check(tensors)
            raise
        return norm
    _check(tensors)
    return global_norm_torch(tensors) if chosen == TORCH else global_norm_reference(tensors)


def _check(tensors: Sequence[Tensor]) -> None:
    for idx, tensor in enumerate(tensors):
        if not tensor.dtype.is_floating_point:
            raise dtype_error("global_norm", f"tensors[{idx}]", "a float dtype", tensor)
        if (tensor.dtype == torch.float64) != (tensors[0].dtype == torch.float64):
            raise dtype_error("global_norm", f"tensors[{idx}]", "all or none float64", tensor)
