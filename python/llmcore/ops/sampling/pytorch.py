"""sample over whole batches with PyTorch's sort and running sums: what CUDA runs.

The weights are the definition's integers, so the ids are the definition's too.
"""

import torch
from torch import Tensor

from llmcore.ops.sampling.arguments import Extras, SampleCall, Sampled, check_values
from llmcore.ops.sampling.philox import random_bits_of
from llmcore.ops.sampling.weights import (
    UNITS,
    exponents,
    inverse,
    log_sum,
    product_over_2_53,
    weight_bits,
    weighted_exponents,
    weights,
)

NEVER = float("-inf")


def sample_torch(call: SampleCall) -> Tensor:
    """Ids alone."""
    extras = call.extras()
    return _draw(_edited(_raw(call), extras), call, extras)[0]


def sample_logprobs_torch(call: SampleCall, num_logprobs: int, processed: bool) -> Sampled:
    """Ids with log-probabilities."""
    extras, raw = call.extras(), _raw(call)
    ids, kept, tempered = _draw(_edited(raw, extras), call, extras)
    if processed:
        return _with_logprobs(kept, ids, tempered, num_logprobs)
    return _with_logprobs(raw, ids, torch.ones_like(tempered), num_logprobs)


def _clean(scores: Tensor) -> Tensor:
    scores = torch.where(scores.isnan(), torch.full_like(scores, NEVER), scores)
    return scores.clamp(max=torch.finfo(scores.dtype).max)


def _raw(call: SampleCall) -> Tensor:
    check_values(call)
    wide = torch.promote_types(call.logits.dtype, torch.float32)
    return _clean(call.logits.to(wide))


def _edited(scores: Tensor, extras: Extras) -> Tensor:
    num_rows, vocab_size = scores.shape
    if num_rows == 0:
        return scores
    if extras.allowed.numel():
        allowed = extras.allowed
        if allowed.dtype != torch.bool:
            ids = torch.arange(vocab_size, device=scores.device)
            allowed = (allowed[:, ids // 32] >> (ids % 32)) & 1 == 1
        scores = scores.masked_fill(~allowed, NEVER)
    if extras.bias.numel() and not extras.bias_offsets.numel():
        scores = _clean(scores + extras.bias.to(scores.dtype))
    elif extras.bias.numel():
        scores = _clean(_with_sparse_bias(scores, extras))
    if extras.history.numel():
        scores = _penalised(scores, extras)
    return scores


def _with_sparse_bias(scores: Tensor, extras: Extras) -> Tensor:
    num_rows = scores.shape[0]
    offsets = extras.bias_offsets
    begin, end = offsets[:-1], offsets[1:]
    if offsets.numel() != num_rows + 1:
        begin, end = begin.expand(num_rows), end.expand(num_rows)
    rows = torch.arange(num_rows, device=scores.device).repeat_interleave(end - begin)
    starts = (end - begin).cumsum(0) - (end - begin)
    at = torch.arange(len(rows), device=scores.device) - starts[rows] + begin[rows]
    places = (rows, extras.bias_ids[at])
    return scores.index_put(places, extras.bias[at].to(scores.dtype), accumulate=True)


def _penalised(scores: Tensor, extras: Extras) -> Tensor:
    history, end = extras.history.long(), extras.lens[:, None]
    places = torch.arange(history.shape[1], device=scores.device)
    is_output = (places >= extras.prompt_lens[:, None]) & (places < end)
    ids = history.masked_fill(places >= end, 0)
    ids = ids.clamp(0, scores.shape[1] - 1)  # those that no penalty reads may be anything
    counts = torch.zeros_like(scores).scatter_add_(1, ids, is_output.to(scores.dtype))
    seen = torch.zeros_like(scores).scatter_add_(1, ids, (places < end).to(scores.dtype)) > 0
    repetition, frequency, presence = extras.params[:, 5:].to(scores.dtype).unbind(dim=1)
    repetition = repetition[:, None].expand_as(scores)
    repeated = torch.where(scores > 0, scores / repetition, scores * repetition)
    lowered = repeated - counts * frequency[:, None] - presence[:, None]
    return torch.where(seen, _clean(torch.where(counts > 0, lowered, repeated)), scores)


def _draw(scores: Tensor, call: SampleCall, extras: Extras) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, the scores with -inf where a token is not kept, and (B, 1) inverse temperatures."""
    num_rows, vocab_size = scores.shape
    if num_rows == 0:
        return call.seeds.clone(), scores, scores.new_ones(0, 1, dtype=torch.float64)
    columns = extras.params[:, :5].unbind(dim=1)
    temperature, top_k, top_p, min_p, typical_p = (column[:, None] for column in columns)
    is_greedy = temperature == 0
    tempered = inverse(torch.where(is_greedy, torch.ones_like(temperature), temperature))
    order = scores.sort(dim=-1, descending=True, stable=True).indices  # ties: the lowest id first
    x = _exponents(scores, tempered)
    bits = weight_bits(vocab_size)
    weight = weights(x, bits)
    places = torch.arange(vocab_size, device=scores.device)
    limit = torch.where(top_k > 0, top_k, torch.full_like(top_k, vocab_size))
    limit = torch.where(is_greedy, torch.ones_like(limit), limit)
    kept = torch.zeros_like(weight, dtype=torch.bool).scatter(1, order, places < limit)
    on = ~is_greedy
    kept &= ~(on & (top_p < 1)) | _in_prefix(order, weight * kept, top_p)
    kept &= ~(on & (min_p > 0)) | (weight >= (min_p * 2.0**bits).clamp(min=1.0))
    if bool((on & (typical_p < 1)).any()):
        likely = kept & (weight > 0)
        terms = weighted_exponents(weight * likely, x)
        total = (weight * likely).sum(dim=1, keepdim=True)
        mean = terms.sum(dim=1, keepdim=True).double() / total.double()
        unlike = ((x + mean).abs() * UNITS).clamp(max=2.0**60).round().long()
        unlike = unlike.masked_fill(~likely, 2**61)
        by_likeness = unlike.sort(dim=-1, stable=True).indices
        prefix = likely & _in_prefix(by_likeness, weight * likely, typical_p)
        kept = torch.where(on & (typical_p < 1), prefix, kept)
    passed = (weight * kept).cumsum(dim=-1)
    random = random_bits_of(call.seeds, call.positions)[:, None]
    goal, _ = product_over_2_53(passed[:, -1:], random)
    ids = torch.searchsorted(passed, goal, right=True).squeeze(1)
    is_nothing = scores.amax(dim=-1) == NEVER
    ids = ids.masked_fill(is_nothing, -1)
    return ids, scores.masked_fill(~kept, NEVER), tempered


def _exponents(scores: Tensor, tempered: Tensor) -> Tensor:
    x = exponents(scores, scores.amax(dim=-1, keepdim=True), tempered)
    return x.masked_fill(scores == NEVER, NEVER)


def _in_prefix(order: Tensor, weight: Tensor, fraction: Tensor) -> Tensor:
    """Mask (B, V) of the shortest prefix of `order` that holds `fraction` of the weight."""
    ranked = weight.gather(1, order)
    passed = ranked.cumsum(dim=1)
    units = (fraction * 2.0**53).ceil().long()
    whole, has_rest = product_over_2_53(passed[:, -1:], units)
    target = (whole + has_rest).clamp(min=1)
    return torch.zeros_like(weight, dtype=torch.bool).scatter(1, order, passed - ranked < target)


def _with_logprobs(scores: Tensor, ids: Tensor, tempered: Tensor, num_logprobs: int) -> Sampled:
    bits = weight_bits(scores.shape[1])
    totals = weights(_exponents(scores, tempered), bits).sum(dim=-1, keepdim=True)
    distances = (scores.double() - scores.amax(dim=-1, keepdim=True).double()) * tempered
    logprobs = (distances - log_sum(totals, bits)).float()
    logprobs = logprobs.masked_fill(scores == NEVER, NEVER)
    top_ids = scores.sort(dim=-1, descending=True, stable=True).indices[:, :num_logprobs]
    found = ids >= 0
    places = ids.clamp(min=0)[:, None]
    chosen = logprobs.gather(1, places).squeeze(1).masked_fill(~found, NEVER)
    score = scores.gather(1, places)
    ahead = (torch.arange(scores.shape[1], device=ids.device) < places) & (scores == score)
    ranks = 1 + (scores > score).sum(dim=1) + ahead.sum(dim=1)
    return Sampled(ids, chosen, ranks * found, top_ids, logprobs.gather(1, top_ids))
