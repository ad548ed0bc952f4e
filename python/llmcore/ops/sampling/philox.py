"""Philox4x32-10, the counter-based generator: one uniform number per (seed, position).

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
ROUNDS: Final = 10
MASK: Final = 0xFFFFFFFF


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Return four 32-bit words for one 128-bit counter and 64-bit key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK, (k1 + KEY_STEPS[1]) & MASK
    return c0, c1, c2, c3


def uniform(seed: int, position: int) -> float:
    """Return a number in [0, 1) with 53 random bits, for the pair alone."""
    seed, position = seed & (2**64 - 1), position & (2**64 - 1)
    counter = (position & MASK, position >> 32, 0, 0)
    words = philox4x32(counter, (seed & MASK, seed >> 32))
    return float(((words[1] << 32) | words[0]) >> 11) * 2.0**-53


def uniforms(seeds: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `uniform` of every pair, computed together."""
    seed, position = seeds.astype(np.uint64), positions.astype(np.uint64)
    low, high = np.uint64(MASK), np.uint64(32)
    c0, c1 = position & low, position >> high
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = seed & low, seed >> high
    for _ in range(ROUNDS):
        p0, p1 = np.uint64(MULTIPLIERS[0]) * c0, np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (p1 >> high) ^ c1 ^ k0, p1 & low, (p0 >> high) ^ c3 ^ k1, p0 & low
        k0 = (k0 + np.uint64(KEY_STEPS[0])) & low
        k1 = (k1 + np.uint64(KEY_STEPS[1])) & low
    bits = ((c1 << high) | c0) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53
