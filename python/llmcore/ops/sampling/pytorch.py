"""sample over whole batches with PyTorch's sort and running sums, all in float64."""

import math

import torch
from torch import Tensor

from llmcore.ops.sampling.philox import uniforms


def sample_torch(
    logits: Tensor,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    if temperature == 0 or logits.shape[0] == 0:
        return logits.argmax(dim=-1) if logits.shape[0] else seeds.clone()
    scaled = logits.double() / temperature
    weights = (scaled - scaled.amax(dim=-1, keepdim=True)).exp()
    truncates = 0 < top_k < logits.shape[-1] or top_p < 1.0
    if truncates:
        weights = weights.masked_fill(~_kept(scaled, weights, top_k, top_p), 0.0)
    passed = weights.cumsum(dim=-1)
    numbers = uniforms(seeds.cpu().numpy(), positions.cpu().numpy())
    u = torch.from_numpy(numbers).to(logits.device).unsqueeze(-1)
    drawn = torch.searchsorted(passed, u * passed[:, -1:], right=True).squeeze(-1)
    last = logits.shape[-1] - 1 - (weights > 0).flip(-1).to(torch.uint8).argmax(dim=-1)
    return torch.minimum(drawn, last)


def _kept(scaled: Tensor, weights: Tensor, top_k: int, top_p: float) -> Tensor:
    """Mask (B, V) of the ids that top-k and then top-p keep."""
    order = scaled.sort(dim=-1, descending=True, stable=True).indices  # ties: the lowest id first
    ranked = weights.gather(-1, order)
    if top_k > 0:
        ranked[:, top_k:] = 0.0
    passed = ranked.cumsum(dim=-1)
    limit = top_p * passed[:, -1:] if top_p < 1.0 else math.inf
    before = torch.cat((torch.zeros_like(passed[:, :1]), passed[:, :-1]), dim=-1)
    keep = before < limit
    keep[:, 0] = True
    if top_k > 0:
        keep[:, top_k:] = False
    return torch.zeros_like(keep).scatter(-1, order, keep)
