"""Tracing shapes of the native sample ops, and their CUDA form. Ids have no gradient."""

from typing import Any

import torch
from torch import Tensor

from llmcore._native import load_libraries
from llmcore.ops.sampling.arguments import SampleCall
from llmcore.ops.sampling.pytorch import sample_logprobs_torch, sample_torch

load_libraries()
sample_op = torch.ops.llmcore.sample.default
sample_logprobs_op = torch.ops.llmcore.sample_logprobs.default


def _fake(logits: Tensor, seeds: Tensor, *rest: Any) -> Tensor:
    return seeds.new_empty(seeds.shape)


def _fake_logprobs(logits: Tensor, seeds: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    num_rows, num_logprobs = seeds.shape[0], rest[-2]
    wide = (num_rows, num_logprobs)
    return (
        seeds.new_empty(num_rows),
        logits.new_empty(num_rows, dtype=torch.float32),
        seeds.new_empty(num_rows),
        seeds.new_empty(wide),
        logits.new_empty(wide, dtype=torch.float32),
    )


def _cuda(*args: Any) -> Tensor:
    return sample_torch(SampleCall(*args))


def _cuda_logprobs(*args: Any) -> tuple[Tensor, ...]:
    *call, num_logprobs, processed = args
    return tuple(sample_logprobs_torch(SampleCall(*call), num_logprobs, processed))


torch.library.register_fake("llmcore::sample", _fake)
torch.library.register_fake("llmcore::sample_logprobs", _fake_logprobs)
torch.library.register_kernel("llmcore::sample", "cuda", _cuda)
torch.library.register_kernel("llmcore::sample_logprobs", "cuda", _cuda_logprobs)
