"""The pass over chunks of tokens: logits of a chunk, losses, and while they are at hand gradients.

Ladder: CPU time of one thread, forward and backward, on an AMD EPYC (Zen 4) that other processes
used too; the three matrix products alone are 90 % of the unfused time at C = 1000.
1. F.linear and F.cross_entropy: 1024x512x128256 float32 6.0 s, bfloat16 2.9 s (logits upcast to
   float32: 3.9 s); 1000x1000x50257 float32 4.3 s. Three tensors of N x V.
2. This: float32 5.0 s, bfloat16 2.3 s; 4.2 s. A quarter of one tensor of N x V. The loss and its
   gradient are 0.6 % of the time, PyTorch's matrix products the rest.
Not taken: recomputing the logits of vocabulary slices in the backward, a quarter of the memory of
2. for four products in place of three.

A faster matrix product has one place to go: `logits_of` and `gradients_of` call `mm` and `addmm_`.
Gradients are the same for any number of threads where C is a multiple of 8 (MKL splits other widths
unevenly, seen with 3 threads).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from llmcore.ops.cross_entropy.register import (
    cross_entropy_grad_native_,
    cross_entropy_no_grad_native,
)

Options = tuple[int, float, float, float]
"""ignore_index, label_smoothing, z_loss, softcap."""

MAX_CHUNKS = 4
MIN_CHUNK_ROWS = 256
ROW_MULTIPLE = 32


class Gradients(NamedTuple):
    """What `gradients_of` returns: None where not wanted."""

    losses: Tensor
    hidden: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def chunk_rows(num_tokens: int) -> int:
    """Tokens per chunk: enough that the matrix products run at full speed, at most 4 chunks."""
    even = -(-num_tokens // MAX_CHUNKS)
    return max(MIN_CHUNK_ROWS, -(-even // ROW_MULTIPLE) * ROW_MULTIPLE)


def logits_of(hidden: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> Tensor:
    """Logits of these tokens in `out`. Rows fill up to a multiple of 32: products of fewer rows sum
    in another order (matrix-vector kernels)."""
    num_tokens = hidden.shape[0]
    num_rows = -(-num_tokens // ROW_MULTIPLE) * ROW_MULTIPLE
    if num_rows > num_tokens:
        hidden = torch.cat((hidden, hidden.new_zeros(num_rows - num_tokens, hidden.shape[1])))
    if bias is None:
        torch.mm(hidden, weight.t(), out=out[:num_rows])
    else:
        torch.addmm(bias, hidden, weight.t(), out=out[:num_rows])
    return out[:num_tokens]


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
    num_tokens, vocab_size = hidden.shape[0], weight.shape[0]
    hidden = hidden.contiguous()
    rows = chunk_rows(num_tokens)
    buffer = hidden.new_empty(min(rows, -(-num_tokens // ROW_MULTIPLE) * ROW_MULTIPLE), vocab_size)
    losses = hidden.new_empty(num_tokens, dtype=torch.float32)
    dhidden = torch.empty_like(hidden) if wanted[0] else None
    dweight = torch.empty_like(weight, memory_format=torch.contiguous_format) if wanted[1] else None
    dbias = hidden.new_zeros(vocab_size, dtype=torch.float32) if wanted[2] else None
    if dweight is not None and num_tokens == 0:
        dweight.zero_()
    for begin in range(0, num_tokens, rows):
        part = slice(begin, min(begin + rows, num_tokens))
        tokens, targets = hidden[part], labels[part]
        logits = logits_of(tokens, weight, bias, buffer)
        losses[part], lse = cross_entropy_no_grad_native(logits, targets, *options)
        if dlosses is None or not any(wanted):
            continue
        cross_entropy_grad_native_(logits, targets, lse, dlosses[part], 0, vocab_size, *options)
        if dhidden is not None:
            torch.mm(logits, weight, out=dhidden[part])
        if dweight is not None:  # beta 0 ignores what the empty tensor held
            dweight.addmm_(logits.t(), tokens, beta=1 if begin else 0)
        if dbias is not None:
            dbias += logits.sum(dim=0, dtype=torch.float32)
    return Gradients(losses, dhidden, dweight, None if dbias is None else dbias.to(hidden.dtype))
