"""Batches of pairs: both answers of every pair as segments of one packed batch."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from llmcore.alignment.pairs import EncodedPair
from llmcore.data import PackedBatch, best_fit_decreasing, epoch_order, packed_batch
from llmcore.errors import CheckpointError, DataError
from llmcore.shapes import IGNORE_INDEX


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """One micro-batch: sequences 0 .. P-1 are the chosen answers, P .. 2P-1 the rejected ones."""

    packed: PackedBatch
    """All 2P sequences as segments; attention stays inside each."""
    token_idx: Int64[Tensor, " N"]
    """Flat positions (row * T + column) of the answers' predictions."""
    sequence_idx: Int64[Tensor, " N"]
    """The sequence of each of those positions, in [0, 2P)."""
    pair_idx: Int64[Tensor, " B"]
    """Index of each pair in the data, for the reference's log-probabilities."""

    @property
    def num_pairs(self) -> int:
        """Pairs in the batch."""
        return len(self.pair_idx)

    @property
    def num_tokens(self) -> int:
        """Positions that are not padding, of both answers."""
        return self.packed.num_tokens

    @property
    def num_chosen_tokens(self) -> int:
        """Trained positions of the chosen answers."""
        return int((self.sequence_idx < self.num_pairs).sum())


def pair_batch(pairs: Sequence[EncodedPair], pair_idx: Sequence[int], *, seq_len: int) -> PairBatch:
    """Pack the answers of the pairs `pair_idx` into as few rows of `seq_len` as best fit finds.

    Raises:
        DataError: an answer with its prompt is longer than `seq_len`.
    """
    sequences = [pairs[i].chosen for i in pair_idx] + [pairs[i].rejected for i in pair_idx]
    rows = best_fit_decreasing([len(s.input_ids) for s in sequences], capacity=seq_len)
    packed = packed_batch([[sequences[i] for i in row] for row in rows], seq_len=seq_len)
    owner = torch.zeros_like(packed.labels)
    for r, row in enumerate(rows):
        start = 0
        for i in row:
            end = start + len(sequences[i].input_ids)
            owner[r, start:end] = i
            start = end
    token_idx = (packed.labels.flatten() != IGNORE_INDEX).nonzero().squeeze(-1)
    return PairBatch(
        packed=packed,
        token_idx=token_idx,
        sequence_idx=owner.flatten()[token_idx],
        pair_idx=torch.tensor(list(pair_idx), dtype=torch.int64),
    )


class PairStream:
    """Endless batches of pairs in an order that is a pure function of (seed, epoch)."""

    def __init__(
        self,
        pairs: Sequence[EncodedPair],
        *,
        seq_len: int,
        rows_per_batch: int,
        micro_batches: int,
        seed: int,
    ) -> None:
        """Plan epoch 0.

        Args:
            pairs: From `load_pairs`.
            seq_len: Positions of a packed row.
            rows_per_batch: Pairs of one optimiser step, over all its micro-batches.
            micro_batches: Parts that those pairs come in; must divide them.
            seed: Of the shuffle.

        Raises:
            DataError: there are no pairs.
        """
        if not pairs:
            raise DataError("pairs: must hold at least one pair, got none")
        self._pairs = list(pairs)
        self._seq_len = seq_len
        self._pairs_per_micro_batch = rows_per_batch // micro_batches
        self._micro_batches = micro_batches
        self._seed = seed
        self._epoch = 0
        self._cursor = 0
        self._order = epoch_order(len(self._pairs), seed=seed, epoch=0)
        self._fingerprint = _fingerprint(self._pairs, seed)

    def __iter__(self) -> Iterator[list[PairBatch]]:
        return self

    def __next__(self) -> list[PairBatch]:
        return [
            pair_batch(
                self._pairs,
                [self._next_index() for _ in range(self._pairs_per_micro_batch)],
                seq_len=self._seq_len,
            )
            for _ in range(self._micro_batches)
        ]

    def state_dict(self) -> dict[str, Any]:
        """The cursor, and a fingerprint of what it points into."""
        return {"epoch": self._epoch, "cursor": self._cursor, "data": self._fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises:
            CheckpointError: the state was taken from other data or another seed.
        """
        if state["data"] != self._fingerprint:
            raise CheckpointError(
                f"pair stream: must be the one of the checkpoint, {state['data']}, "
                f"got {self._fingerprint}"
            )
        self._epoch, self._cursor = int(state["epoch"]), int(state["cursor"])
        self._order = epoch_order(len(self._pairs), seed=self._seed, epoch=self._epoch)

    def _next_index(self) -> int:
        if self._cursor == len(self._order):
            self._epoch, self._cursor = self._epoch + 1, 0
            self._order = epoch_order(len(self._pairs), seed=self._seed, epoch=self._epoch)
        self._cursor += 1
        return self._order[self._cursor - 1]


def _fingerprint(pairs: Sequence[EncodedPair], seed: int) -> str:
    digest = hashlib.sha256(f"{seed} {len(pairs)}".encode())
    for pair in pairs:
        for example in (pair.chosen, pair.rejected):
            digest.update(repr((example.input_ids, example.labels)).encode())
    return digest.hexdigest()[:16]
