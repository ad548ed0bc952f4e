"""Schema and tracing shape of llmcore::sample. Ids have no gradient."""

import torch
from torch import Tensor

from llmcore.ops.sampling.pytorch import sample_torch


@torch.library.custom_op("llmcore::sample", mutates_args=())
def sample_op(
    logits: Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    return sample_torch(
        logits,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seeds=seeds,
        positions=positions,
    )


@sample_op.register_fake
def _fake(
    logits: Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    return seeds.new_empty(seeds.shape)
