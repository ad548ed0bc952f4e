"""Endless batches of packed rows from tokenised documents, each batch computed from its index."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from llmcore.data.packing import PackedBatch
from llmcore.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TokenizedDocuments:
    """Token ids of many documents, end to end, without separators."""

    ids: npt.NDArray[np.int32]
    """All tokens."""
    offsets: npt.NDArray[np.int64]
    """Document d is `ids[offsets[d]:offsets[d + 1]]`; one more entry than documents."""

    def __post_init__(self) -> None:
        is_rising = self.offsets.size > 0 and bool((np.diff(self.offsets) >= 0).all())
        if not is_rising or self.offsets[0] != 0 or self.offsets[-1] != self.ids.size:
            raise DataError("TokenizedDocuments: offsets must rise from 0 to the number of ids")

    @property
    def num_documents(self) -> int:
        """Documents, empty ones too."""
        return self.offsets.size - 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of ids and offsets."""
        digest = hashlib.sha256(np.ascontiguousarray(self.ids).data)
        digest.update(np.ascontiguousarray(self.offsets).data)
        return digest.hexdigest()


class PretrainStream:
    """Micro-batches of packed rows; documents come in a new random order every epoch.

    A document becomes [EOT] + tokens + [EOT]; its inputs are all but the last of these, its labels
    all but the first, so every token is a target exactly once per epoch. Documents follow each
    other without gaps; one that crosses the end of a row goes on in the next as a new segment.

    The epochs form one endless sequence of tokens, and batch k is its k-th piece. So the number of
    batches given out is the whole position: cursor, shuffle state and packing buffer in one.

    With `shuffle_rows` the rows of each epoch's length of this sequence are permuted. Without it
    the few rows of a small batch come from one document, and so do those of the next steps: updates
    then follow that document instead of the corpus.

    Args:
        documents: What to read.
        separator_id: Token id of EOT, the document separator.
        seq_len: Tokens per row, T.
        rows_per_batch: Rows of one optimiser step over all micro-batches.
        micro_batches: Equal parts of these rows.
        seed: Of the document orders; epoch e uses the seed (seed, e), its rows (seed, e, 1).
        shuffle_rows: Permute the rows of an epoch.

    Raises:
        DataError: there are no documents, or the rows do not split into micro-batches.
    """

    def __init__(
        self,
        documents: TokenizedDocuments,
        *,
        separator_id: int,
        seq_len: int,
        rows_per_batch: int,
        micro_batches: int = 1,
        seed: int = 0,
        shuffle_rows: bool = False,
    ) -> None:
        if documents.num_documents == 0:
            raise DataError("PretrainStream: documents must be at least one, got none")
        if rows_per_batch % micro_batches:
            raise DataError(
                f"PretrainStream: rows_per_batch must be a multiple of {micro_batches}, "
                f"got {rows_per_batch}"
            )
        self._documents = documents
        self._separator_id = separator_id
        self._seq_len = seq_len
        self._rows_per_batch = rows_per_batch
        self._micro_batches = micro_batches
        self._seed = seed
        self._shuffle_rows = shuffle_rows
        self._row_order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._row_epoch = -1
        self._next_batch = 0
        self._order_epoch = -1
        self._starts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._lengths: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._ends: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def tokens_per_epoch(self) -> int:
        """Targets in one pass over the documents: all tokens and one separator each."""
        return self._documents.ids.size + self._documents.num_documents

    def __next__(self) -> list[PackedBatch]:
        batch = self.batch_at(self._next_batch)
        self._next_batch += 1
        return batch

    def batch_at(self, batch_idx: int) -> list[PackedBatch]:
        """The micro-batches of one optimiser step, without moving the stream.

        Args:
            batch_idx: Which optimiser step, from 0.
        """
        shape = (self._rows_per_batch, self._seq_len)
        inputs, labels, document, offset = (
            part.reshape(shape) for part in self._rows(batch_idx * shape[0], shape[0])
        )
        column = np.arange(self._seq_len)
        is_border = np.diff(document, axis=1, prepend=document[:, :1]) != 0
        segment_ids = np.cumsum(is_border, axis=1).astype(np.int32)
        rows = self._rows_per_batch // self._micro_batches
        return [
            PackedBatch(
                input_ids=torch.from_numpy(inputs[start : start + rows]),
                labels=torch.from_numpy(labels[start : start + rows]),
                positions=torch.from_numpy(np.minimum(column, offset)[start : start + rows]),
                segment_ids=torch.from_numpy(segment_ids[start : start + rows]),
            )
            for start in range(0, self._rows_per_batch, rows)
        ]

    def state_dict(self) -> dict[str, Any]:
        """The position, and what it is a position in."""
        return {
            "next_batch": self._next_batch,
            "seed": self._seed,
            "documents_sha256": self._documents.digest,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position that `state_dict` gave.

        Raises:
            DataError: the position is in other documents or another order.
        """
        for key, own in self.state_dict().items():
            if key != "next_batch" and state[key] != own:
                raise DataError(
                    f"PretrainStream: {key} must be {state[key]} as in the checkpoint, got {own}"
                )
        self._next_batch = state["next_batch"]

    def _rows(self, first: int, count: int) -> tuple[npt.NDArray[Any], ...]:
        if not self._shuffle_rows:
            return self._tokens(first * self._seq_len, count * self._seq_len)
        # In rising order, so that documents are not reshuffled back and forth at an epoch's end.
        starts = [self._shuffled_row(row) * self._seq_len for row in range(first, first + count)]
        rows = {start: self._tokens(start, self._seq_len) for start in sorted(starts)}
        parts = zip(*(rows[start] for start in starts), strict=True)
        return tuple(np.concatenate(part) for part in parts)

    def _shuffled_row(self, row: int) -> int:
        rows_per_epoch = max(1, self.tokens_per_epoch // self._seq_len)
        epoch, idx = divmod(row, rows_per_epoch)
        if epoch != self._row_epoch:
            generator = np.random.default_rng((self._seed, epoch, 1))
            self._row_order = generator.permutation(rows_per_epoch)
            self._row_epoch = epoch
        return epoch * rows_per_epoch + int(self._row_order[idx])

    def _tokens(self, start: int, count: int) -> tuple[npt.NDArray[Any], ...]:
        """Inputs, labels, running document number and offset in it, for a piece of the sequence."""
        pieces = []
        while count:
            epoch, first = divmod(start, self.tokens_per_epoch)
            taken = min(count, self.tokens_per_epoch - first)
            pieces.append(self._tokens_of_epoch(epoch, np.arange(first, first + taken)))
            start, count = start + taken, count - taken
        return tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))

    def _tokens_of_epoch(
        self, epoch: int, place: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[Any], ...]:
        self._shuffle(epoch)
        rank = np.searchsorted(self._ends, place, side="right")
        begin = self._ends[rank] - self._lengths[rank]
        offset = place - begin
        source = self._starts[rank] + offset
        is_first = offset == 0
        is_last = place == self._ends[rank] - 1
        ids = self._documents.ids
        inputs, labels = np.full((2, place.size), self._separator_id)
        inputs[~is_first] = ids[source[~is_first] - 1]
        labels[~is_last] = ids[source[~is_last]]
        return inputs, labels, epoch * self._documents.num_documents + rank, offset

    def _shuffle(self, epoch: int) -> None:
        """Document starts and cumulative ends in the order of an epoch."""
        if epoch != self._order_epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(
                self._documents.num_documents
            )
            self._starts = self._documents.offsets[:-1][order]
            self._lengths = np.diff(self._documents.offsets)[order] + 1
            self._ends = np.cumsum(self._lengths)
            self._order_epoch = epoch
