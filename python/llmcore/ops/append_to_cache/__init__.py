"""Writes the keys and values of new tokens into a paged cache, as int8 where the cache is."""

from typing import Final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from llmcore.ops.append_to_cache.reference import append_to_cache_reference_
from llmcore.ops.append_to_cache.register import append_to_cache_native_
from llmcore.ops.attention.arguments import NATIVE_DTYPES
from llmcore.ops.backend import NATIVE, TORCH, choose
from llmcore.ops.paged_attention.arguments import check_cache
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "append_to_cache_"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}


@torch.no_grad()
def append_to_cache_(
    k: Float[Tensor, "N Hkv D"],
    v: Float[Tensor, "N Hkv Dv"],
    key_cache: Shaped[Tensor, "P page Hkv D"],
    value_cache: Shaped[Tensor, "P page Hkv Dv"],
    slots: Int[Tensor, " N"],
    key_scales: Float[Tensor, "P page Hkv"] | None = None,
    value_scales: Float[Tensor, "P page Hkv"] | None = None,
) -> None:
    r"""Store token n in slot slots[n] = page_idx * page + offset of the cache, in place.

        int8:  scale = max_d |k_d| / 127,  stored_d = round(k_d / scale), half to even

    per token and head; a row of zeros, or of numbers that are not finite, stores zeros.

    Args:
        k: Keys in float32, bfloat16 or float16.
        v: Values, in k's dtype.
        key_cache: Pages of 1 to 256 tokens in k's dtype, int8, or bfloat16 under float32.
        value_cache: The values' pages, in key_cache's dtype.
        slots: int64 or int32, distinct; of two equal ones either may win.
        key_scales: float32 scales of an int8 cache, written here.
        value_scales: The same of the values.

    Raises:
        ShapeError: an argument's axes do not match, or a page is larger than 256 tokens.
        DtypeError: an argument has another dtype than said above.
        RuntimeError: a slot lies outside the cache.
        KernelUnavailable: the forced backend has no kernel for this device.
    """
    _check(k, v, key_cache, value_cache, slots)
    check_cache("append_to_cache_", k, key_cache, value_cache, key_scales, value_scales)
    backend = choose("append_to_cache_", BACKENDS, k.device.type)
    if backend == NATIVE:
        if k.dtype not in NATIVE_DTYPES:
            raise dtype_error("append_to_cache_", "k", "float32, bfloat16 or float16", k)
        key_scales = k.new_empty(0) if key_scales is None else key_scales
        value_scales = k.new_empty(0) if value_scales is None else value_scales
        append_to_cache_native_(k, v, key_cache, value_cache, slots, key_scales, value_scales)
        return
    append_to_cache_reference_(k, v, key_cache, value_cache, slots, key_scales, value_scales)


def _check(k: Tensor, v: Tensor, key_cache: Tensor, value_cache: Tensor, slots: Tensor) -> None:
    op = "append_to_cache_"
    if k.dim() != 3 or k.shape[1:] != key_cache.shape[2:]:
        raise shape_error(op, "k", f"(N, Hkv, D) = (N, {_widths(key_cache)})", k)
    if v.dim() != 3 or v.shape[0] != k.shape[0] or v.shape[1:] != value_cache.shape[2:]:
        raise shape_error(op, "v", f"({k.shape[0]}, {_widths(value_cache)})", v)
    if v.dtype != k.dtype:
        raise dtype_error(op, "v", f"{k.dtype} as k is", v)
    if slots.shape != k.shape[:1]:
        raise shape_error(op, "slots", f"(N,) = ({k.shape[0]},)", slots)
    if slots.dtype not in (torch.int64, torch.int32):
        raise dtype_error(op, "slots", "int64 or int32", slots)


def _widths(cache: Tensor) -> str:
    return ", ".join(map(str, cache.shape[2:]))
