"""Which attention weights drop: one Philox word per (sequence, head, query, key)."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmcore.ops.sampling.philox import KEY_STEPS, MASK, MULTIPLIERS, ROUNDS

PURPOSE: Final = 1


def dropout_factors(
    shape: tuple[int, int, int, int],
    dropout: float,
    seed: int,
    *,
    first_sequence: int = 0,
) -> Tensor:
    """Return float64 (B, H, T, S): 0 where dropped, else 1 / (1 - dropout).

    Word s % 4 of Philox4x32-10 with the seed as key and counter (s // 4, t, b * H + h, 1) decides:
    below dropout * 2^32 it drops. Sequences count from `first_sequence`.
    """
    batch, heads, num_queries, num_keys = shape
    blocks = np.arange((num_keys + 3) // 4, dtype=np.uint64)
    queries = np.arange(num_queries, dtype=np.uint64)[:, None]
    rows = np.arange(batch * heads, dtype=np.uint64)[:, None, None] + np.uint64(
        first_sequence * heads
    )
    counters = np.broadcast_arrays(blocks, queries, rows)
    words = np.stack(_philox(counters[0], counters[1], counters[2], seed), axis=-1)
    flat = words.reshape(batch, heads, num_queries, 4 * blocks.size)[..., :num_keys]
    limit = np.uint64(float(np.float32(dropout)) * 2**32)
    return torch.from_numpy(flat >= limit).double() / (1 - dropout)


def _philox(
    c0: NDArray[np.uint64], c1: NDArray[np.uint64], c2: NDArray[np.uint64], seed: int
) -> tuple[NDArray[np.uint64], ...]:
    low, high = np.uint64(MASK), np.uint64(32)
    c3 = np.full_like(c0, PURPOSE)
    k0, k1 = seed & MASK, (seed >> 32) & MASK
    for _ in range(ROUNDS):
        p0, p1 = np.uint64(MULTIPLIERS[0]) * c0, np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (
            (p1 >> high) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> high) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK, (k1 + KEY_STEPS[1]) & MASK
    return c0, c1, c2, c3
