"""Softmax weights as integers: the same bits in Python, on every device and in csrc/cpu.

2^x is float64 additions and multiplications in a written order, and integers add up exactly in any
order, so that no vector width, block size or thread count changes a token.
"""

import math
from typing import Final

import torch
from torch import Tensor

FLOOR: Final = -64.0  # no weight is left below: 2^51 2^-64 is 0
TWO52: Final = 2.0**52
LOG2_E: Final = float.fromhex("0x1.71547652b82fep+0")
POLYNOMIAL: Final = (  # 2^f = 1 + f ln 2 + f^2 q(f), q at the Chebyshev nodes of |f| <= 1/2
    float.fromhex("0x1.b619f16f8282bp-24"),
    float.fromhex("0x1.63b2e40877ca0p-20"),
    float.fromhex("0x1.ffcbafd5e74e2p-17"),
    float.fromhex("0x1.4308c71076733p-13"),
    float.fromhex("0x1.5d87fe804dc28p-10"),
    float.fromhex("0x1.3b2ab70ad4abap-7"),
    float.fromhex("0x1.c6b08d7049918p-5"),
    float.fromhex("0x1.ebfbdff82a72dp-3"),
    float.fromhex("0x1.62e42fefa39efp-1"),
    1.0,
)
UNITS: Final = 2.0**40
"""Distances from the mean are compared in units of 1 / UNITS."""


def weight_bits(vocab_size: int) -> int:
    """Weights are in units of 2^-bits: `vocab_size` of them sum to less than 2^62."""
    return min(51, 62 - vocab_size.bit_length())


def exponents(scores: Tensor, top: Tensor, inverse_temperature: Tensor) -> Tensor:
    """float64 (score - top) / temperature in powers of 2, so that weights are 2^x."""
    return (scores.double() - top.double()) * (inverse_temperature * LOG2_E)


def scaled_exp2(x: Tensor, bits: int) -> Tensor:
    """2^(bits + x) of float64 x <= 0, with a relative error below 1e-13."""
    magic = 1.5 * TWO52 + bits  # adding it rounds to an integer
    capped = torch.where(x > FLOOR, x, torch.full_like(x, FLOOR))
    n = (capped + magic) - magic
    f = capped - n
    p = torch.full_like(f, POLYNOMIAL[0])
    for coefficient in POLYNOMIAL[1:]:
        p = p * f + coefficient
    return p * ((n.long() + (bits + 1023)) << 52).view(torch.float64)


def weights(x: Tensor, bits: int) -> Tensor:
    """int64 2^(bits + x), rounded half to even."""
    return scaled_exp2(x, bits).round().long()


def weighted_exponents(weight: Tensor, x: Tensor) -> Tensor:
    """int64 -x times the weight of x, rounded half to even."""
    return (weight.double() * -x.clamp(min=FLOOR)).round().long()


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
