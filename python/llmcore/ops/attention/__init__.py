"""Attention with grouped key/value heads: PyTorch's fused kernel on every device, for now."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from llmcore.ops.attention.pytorch import attention_torch
from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.attention.register import attention_op
from llmcore.ops.backend import TORCH, choose
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "attention", "attention_op"]

BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


def attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S Hkv D"],
    v: Float[Tensor, "B S Hkv D"],
    *,
    causal: bool = True,
    mask: Bool[Tensor, "B T S"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    r"""Mix the values of the kept keys, weighted by the softmax of the scaled scores.

        out_t = sum_s softmax_s(scale * q_t . k_s) v_s

    Query head h reads key/value head h // (H / Hkv).

    Args:
        q: Queries.
        k: Keys; Hkv divides H.
        v: Values.
        causal: Keep pairs with s <= t + S - T: the last query sees every key.
        mask: True = keep; a pair must be kept by `causal` too.
        scale: Factor on the scores; default 1 / sqrt(D).

    Raises:
        ShapeError: the axes do not match, or Hkv does not divide H.
        DtypeError: `k` or `v` has another dtype than `q`, or `mask` is not bool.
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: softmax in float32. A query that keeps no key gives zeros and gets no gradient.
    Source: Vaswani et al. 2017; Ainslie et al. 2023, arXiv:2305.13245 (grouped heads).
    """
    _check(q, k, v, mask)
    if choose("attention", BACKENDS, q.device.type) == TORCH:
        return attention_torch(q, k, v, causal=causal, mask=mask, scale=scale)
    return attention_reference(q, k, v, causal=causal, mask=mask, scale=scale)


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
    if q.dim() != 4:
        raise shape_error("attention", "q", "(B, T, H, D)", q)
    batch, num_queries, num_heads, width = q.shape
    if k.dim() != 4 or k.shape[0] != batch or k.shape[3] != width or num_heads % k.shape[2]:
        expected = f"(B, S, Hkv, D) = ({batch}, S, a divisor of {num_heads}, {width})"
        raise shape_error("attention", "k", expected, k)
    if v.shape != k.shape:
        raise shape_error("attention", "v", f"(B, S, Hkv, D) = {tuple(k.shape)}", v)
    if k.dtype != q.dtype:
        raise dtype_error("attention", "k", f"{q.dtype} as q is", k)
    if v.dtype != q.dtype:
        raise dtype_error("attention", "v", f"{q.dtype} as q is", v)
    if mask is None:
        return
    if mask.shape != (batch, num_queries, k.shape[1]):
        raise shape_error(
            "attention", "mask", f"(B, T, S) = ({batch}, {num_queries}, {k.shape[1]})", mask
        )
    if mask.dtype != torch.bool:
        raise dtype_error("attention", "mask", "bool", mask)
