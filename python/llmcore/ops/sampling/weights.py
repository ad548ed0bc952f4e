"""Softmax weights as integers: the same bits in Python, on every device and in csrc/cpu.

e^x is float64 additions and multiplications in a written order, and integers add up exactly in any
order, so that no vector width, block size or thread count changes a token.
"""

import math
from typing import Final

import torch
from torch import Tensor

FLOOR: Final = -44.5  # below, no weight is left: 2^51 e^-44.5 < 2^-13
LN2_HIGH: Final = 6.93147180369123816490e-01
LN2_LOW: Final = 1.90821492927058770002e-10
MAGIC: Final = 1.5 * 2.0**52  # adding it rounds to an integer
POLYNOMIAL: Final = (  # (e^r - 1 - r) / r^2 at the Chebyshev nodes of |r| <= ln 2 / 2
    float.fromhex("0x1.28804910c5a3ep-22"),
    float.fromhex("0x1.72c73893dfdbbp-19"),
    float.fromhex("0x1.a019c99fa8aefp-16"),
    float.fromhex("0x1.a019ad9ac52a3p-13"),
    float.fromhex("0x1.6c16c173911b6p-10"),
    float.fromhex("0x1.1111111c4947fp-7"),
    float.fromhex("0x1.5555555554cb5p-5"),
    float.fromhex("0x1.5555555553b72p-3"),
    0.5,
    1.0,
    1.0,
)
UNITS: Final = 2.0**40
"""Distances from the mean are compared in units of 1 / UNITS."""


def weight_bits(vocab_size: int) -> int:
    """Weights are in units of 2^-bits: `vocab_size` of them sum to less than 2^62."""
    return min(51, 62 - vocab_size.bit_length())


def scaled_exp(x: Tensor, bits: int) -> Tensor:
    """2^bits e^x of float64 x <= 0, with a relative error below 2e-15."""
    capped = torch.where(x > FLOOR, x, torch.full_like(x, FLOOR))
    shifted = capped * math.log2(math.e) + MAGIC
    n = shifted - MAGIC
    r = (capped - n * LN2_HIGH) - n * LN2_LOW
    p = torch.full_like(r, POLYNOMIAL[0])
    for coefficient in POLYNOMIAL[1:]:
        p = p * r + coefficient
    return p * ((n.long() + (bits + 1023)) << 52).view(torch.float64)


def weights(distances: Tensor, bits: int) -> Tensor:
    """int64 2^bits e^d, rounded half to even."""
    return scaled_exp(distances, bits).round().long()


def weighted_distances(distances: Tensor, bits: int) -> Tensor:
    """int64 -d e^d in units of 2^-bits, rounded half to even."""
    return (scaled_exp(distances, bits) * -distances).round().long()


def inverse(temperature: Tensor) -> Tensor:
    """float64 1 / temperature, at most 1e300."""
    return (1.0 / temperature).clamp(max=1e300)


def units_of(fraction: float) -> int:
    """A fraction in units of 2^-53, rounded up."""
    return math.ceil(fraction * 2.0**53)


def product_over_2_53(totals: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """floor(totals * units / 2^53) and whether a rest was left, in int64 limbs.

    Args:
        totals: int64 in [0, 2^62).
        units: int64 in [0, 2^53].
    """
    a1, a0 = totals >> 32, totals & (2**32 - 1)
    b1, b0 = units >> 27, units & (2**27 - 1)
    low = a0 * b0
    middle = a0 * b1 + (low >> 27)  # of 2^27
    upper = a1 * b0 + (middle >> 5)  # of 2^32
    rest = (low & (2**27 - 1)) + (middle & 31) + (upper & (2**21 - 1))
    return ((a1 * b1) << 6) + (upper >> 21), rest != 0


def log_sum(total: Tensor, bits: int) -> Tensor:
    """float64 log of a sum of weights, of which 2^bits are 1."""
    return (total.double() * 2.0**-bits).log()
