"""The definition of sample: one row at a time, every step spelled out."""

import torch
from torch import Tensor

from llmcore.ops.sampling.arguments import (
    Extras,
    LogitEdits,
    Logprobs,
    SampleCall,
    Sampled,
    check_values,
    pack,
)
from llmcore.ops.sampling.philox import random_bits
from llmcore.ops.sampling.weights import (
    UNITS,
    exponents,
    inverse,
    log_sum,
    units_of,
    weight_bits,
    weighted_exponents,
    weights,
)

NEVER = float("-inf")


def sample_reference(
    logits: Tensor,
    *,
    seeds: Tensor,
    positions: Tensor,
    temperature: float | Tensor = 1.0,
    top_k: int | Tensor = 0,
    top_p: float | Tensor = 1.0,
    min_p: float | Tensor = 0.0,
    typical_p: float | Tensor = 1.0,
    edits: LogitEdits | None = None,
    logprobs: Logprobs | None = None,
) -> Tensor | Sampled:
    """Draw one id per row; see the public function."""
    truncation = (temperature, top_k, top_p, min_p, typical_p)
    return sample_rows(pack(logits, seeds, positions, truncation, edits), logprobs)


def sample_rows(call: SampleCall, logprobs: Logprobs | None) -> Tensor | Sampled:
    """The same for packed arguments."""
    check_values(call)
    extras, device = call.extras(), call.logits.device
    rows = [_sample_row(call, extras, row, logprobs) for row in range(call.logits.shape[0])]
    ids = torch.tensor([row[0] for row in rows], dtype=torch.int64, device=device)
    if logprobs is None:
        return ids
    chosen = torch.tensor([row[1] for row in rows], dtype=torch.float32, device=device)
    ranks = torch.tensor([row[2] for row in rows], dtype=torch.int64, device=device)
    top_ids = torch.tensor([row[3] for row in rows], dtype=torch.int64, device=device)
    top = torch.tensor([row[4] for row in rows], dtype=torch.float32, device=device)
    shape = (len(rows), logprobs.num)
    return Sampled(ids, chosen, ranks, top_ids.reshape(shape), top.reshape(shape))


Row = tuple[int, float, int, list[int], list[float]]


def _sample_row(call: SampleCall, extras: Extras, row: int, logprobs: Logprobs | None) -> Row:
    """The id, its log-probability and rank, and ids and log-probabilities of the likeliest."""
    wide = torch.promote_types(call.logits.dtype, torch.float32)
    raw = _clean(call.logits[row].to(wide))
    params = extras.params[row]
    scores = _edited(raw.clone(), extras, row, params)
    if scores.max() == NEVER:
        kept, token = torch.full_like(scores, NEVER), -1
    else:
        bits = random_bits(int(call.seeds[row]), int(call.positions[row]))
        kept, token = _draw(scores, params, bits)
    if logprobs is None:
        return token, 0.0, 0, [], []
    if logprobs.processed:
        tempered = inverse(params[0]) if params[0] > 0 else torch.ones_like(params[0])
        return _with_logprobs(kept, token, tempered, logprobs.num)
    return _with_logprobs(raw, token, torch.ones_like(params[0]), logprobs.num)


def _clean(scores: Tensor) -> Tensor:
    never = torch.full_like(scores, NEVER)
    return torch.where(scores.isnan(), never, scores).clamp(max=torch.finfo(scores.dtype).max)


def _edited(scores: Tensor, extras: Extras, row: int, params: Tensor) -> Tensor:
    if extras.allowed.numel():
        allowed = _of_row(extras.allowed, row)
        if allowed.dtype != torch.bool:
            ids = torch.arange(len(scores), device=scores.device)
            allowed = (allowed[ids // 32] >> (ids % 32)) & 1 == 1
        scores = scores.masked_fill(~allowed, NEVER)
    if extras.bias.numel() and not extras.bias_offsets.numel():
        scores = _clean(scores + _of_row(extras.bias, row).to(scores.dtype))
    elif extras.bias.numel():
        is_shared = extras.bias_offsets.numel() != extras.params.shape[0] + 1
        begin, end = extras.bias_offsets[0 if is_shared else row :][:2].tolist()
        for token, value in zip(extras.bias_ids[begin:end], extras.bias[begin:end], strict=True):
            scores[token] = _clean(scores[token] + value.to(scores.dtype))
    if extras.history.numel():
        scores = _penalised(scores, extras, row, params)
    return scores


def _of_row(tensor: Tensor, row: int) -> Tensor:
    """The row's own, or the only one, which is for all."""
    return tensor[min(row, tensor.shape[0] - 1)]


def _penalised(scores: Tensor, extras: Extras, row: int, params: Tensor) -> Tensor:
    repetition, frequency, presence = params[5:].to(scores.dtype)
    if repetition == 1 and frequency == 0 and presence == 0:
        return scores
    history = extras.history[row, : int(extras.lens[row])].tolist()
    output = history[int(extras.prompt_lens[row]) :]
    for token in set(output if repetition == 1 else history):
        score = scores[token]
        score = score / repetition if score > 0 else score * repetition
        if token in output:
            score = score - torch.full_like(score, output.count(token)) * frequency
            score = score - presence
        scores[token] = _clean(score)
    return scores


def _draw(scores: Tensor, params: Tensor, random: int) -> tuple[Tensor, int]:
    """The scores with -inf where a token is not kept, and the drawn id."""
    temperature, top_k, top_p, min_p, typical_p = params[:5].tolist()
    values = scores.tolist()
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))  # ties: the lowest id first
    if temperature == 0:
        return _only(scores, order[:1]), order[0]
    bits = weight_bits(len(values))
    x = exponents(scores, scores.max(), inverse(params[0]))
    weighed = weights(x, bits)
    weight = weighed.tolist()
    if top_k > 0:
        order = order[: int(top_k)]
    if top_p < 1:
        order = _shortest_prefix(order, weight, top_p)
    if min_p > 0:
        order = [i for i in order if weight[i] >= max(1, min_p * 2**bits)]
    if typical_p < 1:
        order = [i for i in order if weight[i] > 0]
        total = sum(weight[i] for i in order)
        weighted = weighted_exponents(weighed, x).tolist()
        mean = float(sum(weighted[i] for i in order)) / float(total)
        unlike = ((x + mean).abs() * UNITS).round().tolist()  # |-log2 p - entropy|
        order = sorted(order, key=lambda i: (unlike[i], i))
        order = _shortest_prefix(order, weight, typical_p)
    kept = _only(scores, order) if len(order) < len(values) else scores
    goal, passed = (random * sum(weight[i] for i in order)) >> 53, 0
    for token in sorted(order):
        passed += weight[token]
        if passed > goal:
            return kept, token
    raise AssertionError("the goal is below the sum of the weights")


def _shortest_prefix(order: list[int], weight: list[int], fraction: float) -> list[int]:
    total = sum(weight[i] for i in order)
    target = max(1, -(-units_of(fraction) * total // 2**53))  # rounded up
    passed = 0
    for num_kept, token in enumerate(order, start=1):
        passed += weight[token]
        if passed >= target:
            return order[:num_kept]
    return order


def _only(scores: Tensor, kept: list[int]) -> Tensor:
    never = torch.full_like(scores, NEVER)
    never[kept] = scores[kept]
    return never


def _with_logprobs(scores: Tensor, token: int, inverse_temperature: Tensor, num: int) -> Row:
    values = scores.tolist()
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    logprobs = [NEVER] * len(values)
    if scores.max() > NEVER:
        bits = weight_bits(len(values))
        distances = (scores.double() - scores.max().double()) * inverse_temperature
        distances = torch.where(scores == NEVER, torch.full_like(distances, NEVER), distances)
        total = weights(exponents(scores, scores.max(), inverse_temperature), bits).sum()
        logprobs = (distances - log_sum(total, bits)).float().tolist()
    top = order[:num]
    chosen = (NEVER, 0) if token < 0 else (logprobs[token], order.index(token) + 1)
    return token, *chosen, top, [logprobs[i] for i in top]
