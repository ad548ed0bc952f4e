"""Rotary position tables; the rotation itself is `llmcore.ops.rope`."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor


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
