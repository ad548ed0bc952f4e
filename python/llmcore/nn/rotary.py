"""Rotary and xPos tables; the rotation itself is `llmcore.ops.rope`."""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError


@functools.lru_cache(maxsize=16)
def rotary_tables(
    num_positions: int, head_dim: int, theta: float, device: torch.device
) -> tuple[Float[Tensor, "T Dh"], Float[Tensor, "T Dh"]]:
    r"""Cosine and sine of position p times frequency theta^(-2i / D), for i < Dh = D / 2.

    Args:
        num_positions: Positions 0 .. num_positions - 1 are tabulated.
        head_dim: D, even.
        theta: Base of the geometric frequencies.
        device: Where the tables live.

    Numerics: angles and tables are float32 whatever the model's dtype, because a bfloat16 table
    is wrong by whole turns at large positions; hence they are not buffers that `.to(dtype)` casts.
    The tables are shared and must not be written to.
    Source: Su et al. 2021, arXiv:2104.09864.
    """
    # Tables built inside inference mode could not be saved for a later backward.
    with torch.inference_mode(False), torch.no_grad():
        exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
        inv_freq = 1.0 / (theta**exponent)
        positions = torch.arange(num_positions, dtype=torch.float32, device=device)
        angles = torch.outer(positions, inv_freq)
        return angles.cos(), angles.sin()


@functools.lru_cache(maxsize=16)
def xpos_tables(
    num_positions: int,
    head_dim: int,
    theta: float,
    device: torch.device,
    *,
    scale_base: float = 512.0,
    gamma: float = 0.4,
    centre: int = 0,
) -> tuple[
    Float[Tensor, "T Dh"], Float[Tensor, "T Dh"], Float[Tensor, "T Dh"], Float[Tensor, "T Dh"]
]:
    r"""Tables of xPos: rotary ones times a decay that makes a score fade with the distance.

        q: zeta_i^((p - centre) / scale_base)        k: its inverse
        zeta_i = (2i / D + gamma) / (1 + gamma)

    so the score of pair i at distance n - m is that of rope times zeta_i^((n - m) / scale_base).
    The exponents are of absolute positions, hence rotated keys can be cached: no later token
    changes an earlier key.

    Args:
        num_positions: Positions 0 .. num_positions - 1 are tabulated.
        head_dim: D, even.
        theta: Base of the geometric frequencies.
        device: Where the tables live.
        scale_base: Positions over which pair i fades by zeta_i.
        gamma: Larger fades less; in the limit the tables are those of rope.
        centre: Position of scale 1, one for queries and keys and for the life of a cache. Scores
            do not depend on it; half of `num_positions` doubles the range that float32 holds.

    Returns:
        Cosine and sine of queries, then of keys.

    Raises:
        ConfigError: a scale would leave float32 (with the defaults at 35,600 positions from the
            centre).

    Numerics: exponents and tables are float32. float16 activations overflow far earlier.
    Source: Sun et al. 2022, arXiv:2212.10554; the constants are those of its code, torchscale.
    """
    farthest = max(abs(centre), abs(num_positions - 1 - centre))
    exponent = farthest / scale_base * math.log((1 + gamma) / gamma)
    if exponent > -math.log(torch.finfo(torch.float32).tiny):
        raise ConfigError(
            f"xpos_tables: num_positions must keep every scale in float32's range around centre "
            f"{centre}, got {num_positions}; a centre of {num_positions // 2} halves the exponents"
        )
    cos, sin = rotary_tables(num_positions, head_dim, theta, device)
    with torch.inference_mode(False), torch.no_grad():
        pairs = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
        zeta = (pairs + gamma) / (1 + gamma)
        positions = torch.arange(num_positions, dtype=torch.float32, device=device)
        scale = zeta ** ((positions - centre) / scale_base).unsqueeze(-1)
        return cos * scale, sin * scale, cos / scale, sin / scale
