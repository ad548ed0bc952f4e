"""Drawing the next token: PyTorch's sort and running sums on every device, for now."""

import math
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.backend import TORCH, choose
from llmcore.ops.sampling.pytorch import sample_torch
from llmcore.ops.sampling.reference import sample_reference
from llmcore.ops.sampling.register import sample_op
from llmcore.ops.shape_check import dtype_error, shape_error

__all__ = ["BACKENDS", "sample", "sample_op"]

BACKENDS: Final = {"cpu": TORCH, "cuda": TORCH}


@torch.no_grad()
def sample(
    logits: Float[Tensor, "B V"],
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Int[Tensor, " B"],
    positions: Int[Tensor, " B"],
) -> Int[Tensor, " B"]:
    r"""Draw one token id per row from the tempered, truncated softmax.

    Order: temperature, then top-k, then top-p on what top-k kept. The random number of a row
    depends on its seed and position alone, so a sequence draws the same ids in any batch.

    Args:
        logits: Scores of the next token.
        temperature: Divides the scores; 0 takes the highest, the lowest id among equals.
        top_k: Keep exactly this many highest scores, the lowest id among equals; 0 keeps all.
        top_p: Keep the smallest set of highest scores whose probability reaches this; 1 keeps all.
        seeds: int64 seed per row.
        positions: int64 position per row, of the token being drawn.

    Raises:
        ShapeError: the shapes do not match.
        DtypeError: `seeds` or `positions` is not int64.
        ConfigError: temperature or top_k is negative, or top_p is not in (0, 1].
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: probabilities and their running sums, in order of id, are float64.
    Source: Philox4x32-10, Salmon et al. 2011; top-p, Holtzman et al. 2019, arXiv:1904.09751.
    """
    _check(logits, seeds, positions)
    _check_numbers(temperature, top_k, top_p)
    chosen = choose("sample", BACKENDS, logits.device.type)
    if chosen == TORCH and torch.compiler.is_compiling():
        return sample_op(logits, temperature, top_k, top_p, seeds, positions)
    draw = sample_torch if chosen == TORCH else sample_reference
    return draw(
        logits,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seeds=seeds,
        positions=positions,
    )


def _check(logits: Tensor, seeds: Tensor, positions: Tensor) -> None:
    if logits.dim() != 2 or logits.shape[1] == 0:
        raise shape_error("sample", "logits", "(B, V) with V > 0", logits)
    for name, tensor in (("seeds", seeds), ("positions", positions)):
        if tensor.dim() != 1 or tensor.shape[0] != logits.shape[0]:
            raise shape_error("sample", name, f"(B,) = ({logits.shape[0]},)", tensor)
        if tensor.dtype != torch.int64:
            raise dtype_error("sample", name, "int64", tensor)


def _check_numbers(temperature: float, top_k: int, top_p: float) -> None:
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise ConfigError(f"sample: temperature must be finite and >= 0, got {temperature}")
    if top_k < 0:
        raise ConfigError(f"sample: top_k must be >= 0, got {top_k}")
    if not 0 < top_p <= 1:
        raise ConfigError(f"sample: top_p must be in (0, 1], got {top_p}")
