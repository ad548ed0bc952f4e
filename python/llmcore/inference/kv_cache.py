"""Preallocated keys and values of a batch of sequences that grow in step."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.models import DecoderConfig


class KVCache:
    """Contiguous cache, one (B, capacity, Hkv, D) pair per layer; implements `AttentionCache`.

    Rows advance together, so prompts of different lengths are padded on the left; the padded slots
    of a row are never attended to and do not count in its positions.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        batch_size: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        num_padding: Int[Tensor, " B"] | None = None,
    ) -> None:
        """Allocate an empty cache.

        Args:
            config: Model whose layers it serves.
            batch_size: B.
            capacity: Slots per row, padding included.
            dtype: Type of the stored keys and values; that of the model.
            device: Where they live.
            num_padding: Slots at the front of each row that hold padding; None means none.
        """
        shape = (batch_size, capacity, config.num_kv_heads, config.head_dim)
        self._keys = [
            torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_layers)
        ]
        self._values = [
            torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_layers)
        ]
        self._capacity = capacity
        self._num_slots = 0
        self._num_padding = num_padding
        self._least_padding = 0 if num_padding is None else int(num_padding.min())
        self._slots = torch.arange(capacity, device=device)
        self._kept = None if num_padding is None else self._slots >= num_padding[:, None]

    @property
    def num_positions(self) -> int:
        """Tokens of the longest row, padding not counted."""
        return self._num_slots - self._least_padding

    @property
    def batch_size(self) -> int:
        """Rows held."""
        return self._keys[0].shape[0]

    def num_bytes(self) -> int:
        """Bytes allocated for keys and values."""
        return sum(t.numel() * t.element_size() for t in (*self._keys, *self._values))

    def positions(self, num_tokens: int) -> Int[Tensor, " T"] | Int[Tensor, "B T"]:
        """Rotary positions of the next tokens: slot index less the row's padding, at least 0."""
        slots = self._slots[self._num_slots : self._num_slots + num_tokens]
        if self._num_padding is None:
            return slots
        return (slots - self._num_padding[:, None]).clamp_(min=0)

    def keep_mask(self, num_tokens: int) -> Bool[Tensor, "B T S"] | None:
        """False at the padded slots of each row; None where no row has any."""
        if self._kept is None:
            return None
        kept = self._kept[:, None, : self._num_slots + num_tokens]
        return kept.expand(-1, num_tokens, -1)

    def extend(
        self, layer_idx: int, k: Float[Tensor, "B T Hkv D"], v: Float[Tensor, "B T Hkv D"]
    ) -> tuple[Float[Tensor, "B S Hkv D"], Float[Tensor, "B S Hkv D"]]:
        """Store one layer's new keys and values; return views of everything stored.

        Raises:
            ShapeError: the rows differ from the cache's, or the capacity is exceeded.
        """
        start, stop = self._num_slots, self._num_slots + k.shape[1]
        if stop > self._capacity or k.shape[0] != self.batch_size:
            raise ShapeError(
                f"kv_cache: k must fit {self.batch_size} rows of {self._capacity} slots, "
                f"got {k.shape[0]} rows ending at slot {stop}"
            )
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        keys[:, start:stop] = k
        values[:, start:stop] = v
        return keys[:, :stop], values[:, :stop]

    def advance(self, num_tokens: int) -> None:
        """Count tokens that every layer has stored."""
        self._num_slots += num_tokens

    def keep_rows(self, rows: Int[Tensor, " B"]) -> None:
        """Drop every row that is not in `rows`, and reorder the rest to that order."""
        used = self._num_slots
        for tensors in (self._keys, self._values):
            for layer_idx, old in enumerate(tensors):
                new = old.new_empty((len(rows), *old.shape[1:]))
                torch.index_select(old[:, :used], 0, rows, out=new[:, :used])
                tensors[layer_idx] = new
        if self._num_padding is not None and self._kept is not None:
            self._num_padding = self._num_padding[rows]
            self._kept = self._kept[rows]
            self._least_padding = int(self._num_padding.min())
