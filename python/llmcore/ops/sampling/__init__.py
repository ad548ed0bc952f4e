"""Drawing the next token: native C++ on CPU; on CUDA PyTorch's sort and running sums."""

from typing import Final, overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcore.ops.backend import NATIVE, REFERENCE, TORCH, choose
from llmcore.ops.sampling.arguments import (
    LogitBias,
    LogitEdits,
    Logprobs,
    Penalties,
    RowFloat,
    RowInt,
    Sampled,
    check_num,
    check_values,
    pack,
)
from llmcore.ops.sampling.reference import sample_rows
from llmcore.ops.sampling.register import sample_logprobs_op, sample_op
from llmcore.ops.shape_check import dtype_error

__all__ = ["BACKENDS", "LogitBias", "LogitEdits", "Logprobs", "Penalties", "Sampled", "sample"]

BACKENDS: Final = {"cpu": NATIVE, "cuda": TORCH}
NATIVE_DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


@overload
def sample(
    logits: Tensor,
    *,
    seeds: Tensor,
    positions: Tensor,
    temperature: float | Tensor = ...,
    top_k: int | Tensor = ...,
    top_p: float | Tensor = ...,
    min_p: float | Tensor = ...,
    typical_p: float | Tensor = ...,
    edits: LogitEdits | None = ...,
    logprobs: None = ...,
) -> Tensor:
    """Ids alone."""


@overload
def sample(
    logits: Tensor,
    *,
    seeds: Tensor,
    positions: Tensor,
    temperature: float | Tensor = ...,
    top_k: int | Tensor = ...,
    top_p: float | Tensor = ...,
    min_p: float | Tensor = ...,
    typical_p: float | Tensor = ...,
    edits: LogitEdits | None = ...,
    logprobs: Logprobs,
) -> Sampled:
    """Ids and log-probabilities."""


def sample(
    logits: Float[Tensor, "B V"],
    *,
    seeds: Int[Tensor, " B"],
    positions: Int[Tensor, " B"],
    temperature: RowFloat = 1.0,
    top_k: RowInt = 0,
    top_p: RowFloat = 1.0,
    min_p: RowFloat = 0.0,
    typical_p: RowFloat = 1.0,
    edits: LogitEdits | None = None,
    logprobs: Logprobs | None = None,
) -> Int[Tensor, " B"] | Sampled:
    r"""Draw one token id per row from the edited, tempered, truncated softmax.

    Order: `edits` (allowed tokens, bias, repetition, frequency, presence), temperature, top-k,
    top-p, min-p, typical; each truncation looks at what the one before kept, renormalised. A number
    may be a tensor with one value a row. A row's random number depends on its seed and position
    alone, so a sequence draws the same ids in any batch.

    Args:
        logits: Scores of the next token. NaN counts as -inf.
        seeds: int64 seed per row.
        positions: int64 position per row, of the token being drawn.
        temperature: Divides the scores; 0 takes the highest, the lowest id among equals.
        top_k: Keep exactly this many highest scores, the lowest id among equals; 0 keeps all.
        top_p: Keep the smallest set of highest scores whose probability reaches this; 1 keeps all.
        min_p: Keep what has at least this fraction of the highest probability; 0 keeps all.
        typical_p: Keep the smallest set whose probability reaches this of the tokens whose
            information -ln p is nearest to the entropy; 1 keeps all.
        edits: Allowed tokens, bias and penalties.
        logprobs: Also return log-probabilities, in a `Sampled`.

    Returns:
        int64 ids; -1 in a row in which no token may be drawn, every score being -inf.

    Raises:
        ShapeError: the shapes do not match.
        DtypeError: `seeds` or `positions` is not int64, or another tensor has a wrong dtype.
        ConfigError: a number is out of its range, or an id in bias or history not in [0, V).
        KernelUnavailable: the forced backend has no kernel for this device.

    Numerics: scores are float32; weights e^((score - highest) / temperature) are float64 rounded to
    integers in units of 2^-b, b = min(51, 62 - bits of V), so that sums are exact; a token less
    likely than 2^-b of the likeliest is never drawn. History is checked as far as it is read.
    Source: Philox4x32-10, Salmon et al. 2011; top-p, Holtzman et al. 2019, arXiv:1904.09751;
    min-p, arXiv:2407.01082; typical, Meister et al. 2022, arXiv:2202.00666; repetition penalty,
    Keskar et al. 2019, arXiv:1909.05858, with the sign rule of Hugging Face.
    """
    check_num(logprobs, logits.shape[-1])
    truncation = (temperature, top_k, top_p, min_p, typical_p)
    call = pack(logits.detach(), seeds, positions, truncation, edits)
    chosen = choose("sample", BACKENDS, logits.device.type)
    if chosen == REFERENCE:
        return sample_rows(call, logprobs)
    if chosen == NATIVE and logits.dtype not in NATIVE_DTYPES:
        raise dtype_error("sample", "logits", "float32, bfloat16 or float16", logits)
    try:
        if logprobs is None:
            return sample_op(*call)
        return Sampled(*sample_logprobs_op(*call, logprobs.num, logprobs.processed))
    except RuntimeError:
        check_values(call)  # words what the door found inside the tensors
        raise
