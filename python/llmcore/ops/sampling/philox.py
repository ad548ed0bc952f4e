"""Philox4x32-10, the counter-based generator: one random number per (seed, position).

The key is the seed (low word, high word). Word 3 of the counter is the purpose, so that two
purposes with one seed never read the same numbers; words 0 to 2 belong to the purpose. Sampling:
(position low, position high, 0, purpose 0), of which words 0 and 1 make one number of 53 bits.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2.
"""

from typing import Final

import torch
from torch import Tensor

MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
ROUNDS: Final = 10
MASK: Final = 0xFFFFFFFF
SAMPLING_PURPOSE: Final = 0


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Return four 32-bit words for one 128-bit counter and 64-bit key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK, (k1 + KEY_STEPS[1]) & MASK
    return c0, c1, c2, c3


def random_bits(seed: int, position: int) -> int:
    """Return 53 random bits for the pair alone."""
    seed, position = seed & (2**64 - 1), position & (2**64 - 1)
    counter = (position & MASK, position >> 32, 0, SAMPLING_PURPOSE)
    words = philox4x32(counter, (seed & MASK, seed >> 32))
    return ((words[1] << 32) | words[0]) >> 11


def random_bits_of(seeds: Tensor, positions: Tensor) -> Tensor:
    """Return `random_bits` of every pair, computed together where the tensors are."""
    low = positions & MASK
    zeros = torch.zeros_like(low)
    c0, c1, c2, c3 = low, (positions >> 32) & MASK, zeros, zeros + SAMPLING_PURPOSE
    k0, k1 = seeds & MASK, (seeds >> 32) & MASK
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]  # modulo 2^64
        high0, high1 = (p0 >> 32) & MASK, (p1 >> 32) & MASK
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, p1 & MASK, high0 ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK, (k1 + KEY_STEPS[1]) & MASK
    return (c1 << 21) | (c0 >> 11)
