"""The definition of sample: one row at a time, every step spelled out."""

import torch
from torch import Tensor

from llmcore.ops.sampling.philox import uniform


def sample_reference(
    logits: Tensor,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    """Draw one id per row; see the public function."""
    if temperature == 0:
        rows = [row.index(max(row)) for row in logits.tolist()]
        return torch.tensor(rows, dtype=torch.int64, device=logits.device)
    rows = [
        _draw(row / temperature, top_k, top_p, uniform(int(seed), int(position)))
        for row, seed, position in zip(logits.double(), seeds, positions, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.int64, device=logits.device)


def _draw(row: Tensor, top_k: int, top_p: float, u: float) -> int:
    order = sorted(range(len(row)), key=lambda i: (-float(row[i]), i))  # ties: the lowest id first
    if top_k > 0:
        order = order[:top_k]
    weights = [float(torch.exp(row[i] - row[order[0]])) for i in order]
    total, mass = sum(weights), 0.0
    kept: list[tuple[int, float]] = []
    for token, weight in zip(order, weights, strict=True):
        if kept and mass >= top_p * total:
            break
        kept.append((token, weight))
        mass += weight
    target, passed = u * sum(weight for _, weight in kept), 0.0
    for token, weight in sorted(kept):
        passed += weight
        if passed > target:
            return token
    return max(kept)[0]
