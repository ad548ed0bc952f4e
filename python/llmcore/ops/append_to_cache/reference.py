"""The definition of append_to_cache_ in plain PyTorch."""

from torch import Tensor

from llmcore.ops.paged_attention.int8 import quantize


def append_to_cache_reference_(
    k: Tensor,
    v: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    key_scales: Tensor | None = None,
    value_scales: Tensor | None = None,
) -> None:
    """Store each token's row in its slot; an int8 cache takes rounded multiples of a scale."""
    num_slots = key_cache.shape[0] * key_cache.shape[1]
    if slots.numel() > 0 and not 0 <= int(slots.min()) <= int(slots.max()) < num_slots:
        outside = slots[(slots < 0) | (slots >= num_slots)][0]
        raise RuntimeError(
            f"append_to_cache_: slots must be from 0 to {num_slots - 1}, got {outside}"
        )
    _store_(k, key_cache, slots, key_scales)
    _store_(v, value_cache, slots, value_scales)


def _store_(rows: Tensor, cache: Tensor, slots: Tensor, scales: Tensor | None) -> None:
    page, offset = slots.long() // cache.shape[1], slots.long() % cache.shape[1]
    if scales is None:
        cache[page, offset] = rows.to(cache.dtype)
        return
    stored, factors = quantize(rows)
    cache[page, offset] = stored
    scales[page, offset] = factors.to(scales.dtype)
