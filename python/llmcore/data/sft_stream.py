"""Endless micro-batches of packed chats whose state is a cursor."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from llmcore.data.packing import PackedBatch
from llmcore.data.sft_packing import Example, best_fit_decreasing, packed_batch
from llmcore.errors import CheckpointError, ConfigError, DataError

_PACK_WINDOW: Final = 2048


class SFTStream:
    """Endless batches of packed chats, reshuffled and repacked each epoch.

    An epoch's order and packing are a pure function of (seed, epoch), so the state is a cursor of
    two numbers and a resumed stream yields the same batches to the bit. Rows left over at the end
    of an epoch open the next batch: no example is skipped.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        seq_len: int,
        rows_per_batch: int,
        micro_batches: int,
        seed: int,
    ) -> None:
        """Check sizes and plan epoch 0.

        Args:
            examples: From `fit_examples`, each at most `seq_len` positions.
            seq_len: Positions of a row.
            rows_per_batch: Rows of one optimiser step, over all its micro-batches.
            micro_batches: Parts that those rows come in; must divide them.
            seed: Of the shuffle.

        Raises:
            ConfigError: `rows_per_batch` is no multiple of `micro_batches`.
            DataError: there are no examples.
        """
        if rows_per_batch % micro_batches != 0:
            raise ConfigError(
                f"rows_per_batch: must be a multiple of micro_batches = {micro_batches}, "
                f"got {rows_per_batch}"
            )
        if not examples:
            raise DataError("examples: must hold at least one example, got none")
        self._examples = list(examples)
        self._seq_len = seq_len
        self._rows_per_micro_batch = rows_per_batch // micro_batches
        self._micro_batches = micro_batches
        self._seed = seed
        self._epoch = 0
        self._cursor = 0
        self._plan = self._plan_epoch(0)
        self._fingerprint = _fingerprint(examples, seq_len=seq_len, seed=seed)

    @property
    def epoch(self) -> float:
        """Passes over the data so far, counted in rows."""
        return self._epoch + self._cursor / len(self._plan)

    @property
    def num_rows(self) -> int:
        """Rows of the current epoch."""
        return len(self._plan)

    def __iter__(self) -> Iterator[list[PackedBatch]]:
        return self

    def __next__(self) -> list[PackedBatch]:
        return [self._next_micro_batch() for _ in range(self._micro_batches)]

    def state_dict(self) -> dict[str, Any]:
        """The cursor, and a fingerprint of what it points into."""
        return {"epoch": self._epoch, "cursor": self._cursor, "data": self._fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises:
            CheckpointError: the state was taken from other data or other settings.
        """
        if state["data"] != self._fingerprint:
            raise CheckpointError(
                f"data stream: must be the one of the checkpoint, {state['data']}, "
                f"got {self._fingerprint}"
            )
        self._epoch, self._cursor = int(state["epoch"]), int(state["cursor"])
        self._plan = self._plan_epoch(self._epoch)

    def _next_micro_batch(self) -> PackedBatch:
        rows = []
        for _ in range(self._rows_per_micro_batch):
            if self._cursor == len(self._plan):
                self._epoch, self._cursor = self._epoch + 1, 0
                self._plan = self._plan_epoch(self._epoch)
            rows.append([self._examples[i] for i in self._plan[self._cursor]])
            self._cursor += 1
        return packed_batch(rows, seq_len=self._seq_len)

    def _plan_epoch(self, epoch: int) -> list[list[int]]:
        generator = _generator(self._seed, epoch)
        order = _permutation(len(self._examples), generator)
        rows: list[list[int]] = []
        for start in range(0, len(order), _PACK_WINDOW):
            window = order[start : start + _PACK_WINDOW]
            lengths = [len(self._examples[i].input_ids) for i in window]
            packed = best_fit_decreasing(lengths, capacity=self._seq_len)
            # Best-fit-decreasing opens long rows first: shuffle, or a batch would see one length.
            rows += [[window[i] for i in packed[r]] for r in _permutation(len(packed), generator)]
        return rows


def epoch_order(count: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation of range(count) that depends on (count, seed, epoch) alone."""
    return _permutation(count, _generator(seed, epoch))


def _permutation(count: int, generator: torch.Generator) -> list[int]:
    return torch.randperm(count, generator=generator).tolist()


def _generator(seed: int, epoch: int) -> torch.Generator:
    # An odd 64-bit multiplier keeps (seed, epoch) and (seed + 1, epoch - 1) apart.
    return torch.Generator().manual_seed((seed + epoch * 0x9E3779B97F4A7C15) % 2**63)


def _fingerprint(examples: Sequence[Example], *, seq_len: int, seed: int) -> str:
    digest = hashlib.sha256(f"{seq_len} {seed} {len(examples)}".encode())
    for example in examples:
        digest.update(repr((example.input_ids, example.labels)).encode())
    return digest.hexdigest()[:16]
