"""Batched and streaming generation."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from llmcore.decoding import SamplingParams, TokenHistory, logit_edits, sample_tokens
from llmcore.errors import ConfigError, ShapeError
from llmcore.inference.kv_cache import KVCache
from llmcore.models import Decoder
from llmcore.ops import LogitEdits


def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    *,
    batch_size: int = 64,
    seeds: Sequence[int] | None = None,
    on_token: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """Continue every prompt.

    Prompts of similar length run together, left-padded; a row leaves the batch when it is done. A
    row's tokens depend on its prompt, `params` and seed only, never on its company (up to the
    rounding of float32 sums, which can decide between tokens of equal score).

    Args:
        model: Decoder in evaluation use; no gradient is kept.
        prompts: Token ids, each prompt shorter than the model's `max_seq_len` and not empty.
        params: Sampling, length limit and stop ids.
        batch_size: Most rows at once.
        seeds: One per prompt in place of `params.seed`, e.g. for several samples of one prompt.
        on_token: Called as on_token(prompt_idx, token_id) for every new token kept.

    Returns:
        The new ids of every prompt, in the order of `prompts`, without the stop id. A row also ends
        when prompt and answer reach `max_seq_len`.

    Raises:
        ShapeError: a prompt is empty or leaves no room in `max_seq_len`.
        ConfigError: `batch_size`, the number of `seeds` or a biased id does not fit.
        DataError: the model's scores for a row are all -inf or NaN.
    """
    if batch_size < 1:
        raise ConfigError(f"generate: batch_size must be at least 1, got {batch_size}")
    if seeds is not None and len(seeds) != len(prompts):
        raise ConfigError(
            f"generate: seeds must be one per prompt = {len(prompts)}, got {len(seeds)}"
        )
    for prompt in prompts:
        _check_prompt(model, prompt)
    outputs: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda idx: len(prompts[idx]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        row_seeds = [params.seed if seeds is None else seeds[idx] for idx in rows]
        batch = _Batch(model, [prompts[idx] for idx in rows], params, seeds=row_seeds)
        for row, token in batch.run():
            outputs[rows[row]].append(token)
            if on_token is not None:
                on_token(rows[row], token)
    return outputs


def stream(model: Decoder, prompt: Sequence[int], params: SamplingParams) -> Iterator[int]:
    """Yield the new ids of one prompt as they are drawn; the same ids as `generate` returns.

    Raises:
        ShapeError: the prompt is empty or leaves no room in `max_seq_len` (before the first token).
    """
    _check_prompt(model, prompt)
    batch = _Batch(model, [prompt], params, seeds=[params.seed])
    return (token for _, token in batch.run())


def _check_prompt(model: Decoder, prompt: Sequence[int]) -> None:
    limit = model.config.max_seq_len
    if not 0 < len(prompt) < limit:
        raise ShapeError(
            f"generate: prompt must have 1 to {limit - 1} tokens (max_seq_len = {limit}), "
            f"got {len(prompt)}"
        )
    if not 0 <= min(prompt) <= max(prompt) < model.config.vocab_size:
        raise ShapeError(
            f"generate: prompt ids must be in [0, {model.config.vocab_size}), "
            f"got {min(prompt)} to {max(prompt)}"
        )


class _Batch:
    """Rows decoded in step: their cache, last tokens and remaining room."""

    def __init__(
        self,
        model: Decoder,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        *,
        seeds: Sequence[int],
    ) -> None:
        self._model = model
        self._params = params
        self._device = model.embed.weight.device
        lens = [len(prompt) for prompt in prompts]
        longest = max(lens)
        limit = model.config.max_seq_len
        self._room = [min(params.max_new_tokens, limit - length) for length in lens]
        self._rows = list(range(len(prompts)))  # caller's index of every row still in the batch
        self._seeds = self._tensor(seeds)
        self._next_positions = self._tensor(lens)
        self._input_ids = self._tensor(
            [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        )
        padded = min(lens) < longest
        self._cache = KVCache(
            model.config,
            batch_size=len(prompts),
            capacity=longest + max(self._room),
            dtype=model.embed.weight.dtype,
            device=self._device,
            num_padding=self._tensor([longest - n for n in lens]) if padded else None,
        )
        self._history: TokenHistory | None = None
        if params.has_penalties:
            width = longest + max(self._room)
            rows = [list(prompt) + [0] * (width - len(prompt)) for prompt in prompts]
            lens_now = self._next_positions  # the new token's position: both count what is there
            self._history = TokenHistory(self._tensor(rows), self._tensor(lens), lens_now)
        self._edits = self._make_edits()

    def run(self) -> Iterator[tuple[int, int]]:
        """Yield (row, token) for every token kept, until each row has stopped."""
        stop_ids = frozenset(self._params.stop_ids)
        alive = [True] * len(self._rows)
        num_new = 0
        while any(alive):
            tokens = self._step()
            num_new += 1
            for idx, token in enumerate(tokens):
                if not alive[idx]:
                    continue
                row = self._rows[idx]
                if token in stop_ids:
                    alive[idx] = False
                    continue
                yield row, token
                alive[idx] = num_new < self._room[row]
            if any(alive) and self._should_shrink(sum(alive)):
                self._drop_finished(alive)
                alive = [True] * len(self._rows)

    def _should_shrink(self, num_alive: int) -> bool:
        """Whether finished rows must go: they waste a quarter of the batch, or have no room."""
        is_full = self._cache.num_positions == self._model.config.max_seq_len
        return is_full or num_alive <= 0.75 * len(self._rows)

    @torch.inference_mode()
    def _step(self) -> list[int]:
        hidden = self._model.hidden_states(self._input_ids, cache=self._cache)
        tokens = sample_tokens(
            self._model.logits(hidden[:, -1]),
            self._params,
            seeds=self._seeds,
            positions=self._next_positions,
            edits=self._edits,
        )
        self._input_ids = tokens[:, None]
        if self._history is not None:
            self._history.ids.scatter_(1, self._next_positions[:, None], self._input_ids)
        self._next_positions += 1
        return tokens.tolist()

    @torch.inference_mode()
    def _drop_finished(self, alive: list[bool]) -> None:
        kept = [idx for idx, is_alive in enumerate(alive) if is_alive]
        rows = self._tensor(kept)
        self._rows = [self._rows[idx] for idx in kept]
        self._input_ids = self._input_ids[rows]
        self._seeds = self._seeds[rows]
        self._next_positions = self._next_positions[rows]
        self._cache.keep_rows(rows)
        if self._history is not None:
            ids, prompt_lens, _ = self._history
            self._history = TokenHistory(ids[rows], prompt_lens[rows], self._next_positions)
            self._edits = self._make_edits()

    def _make_edits(self) -> LogitEdits | None:
        return logit_edits(
            self._params,
            vocab_size=self._model.config.vocab_size,
            device=self._device,
            history=self._history,
        )

    def _tensor(self, values: Sequence[int] | Sequence[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)
