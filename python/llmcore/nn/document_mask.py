"""Which tokens of a packed row may see each other."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def document_mask(segment_ids: Int[Tensor, "B T"]) -> Bool[Tensor, "B T T"] | None:
    """Mask that keeps attention inside one segment, or None where causality alone does so.

    Segment -1 is padding: padding sees only padding, so no row of the mask is empty, and outputs
    at padding are finite but meaningless. None is returned when every row is one segment followed
    by padding, because real tokens come first and never look ahead. Under `torch.compile` the
    mask is always built, since the shortcut reads the data.
    """
    if not torch.compiler.is_compiling() and _causality_suffices(segment_ids):
        return None
    return segment_ids[:, :, None] == segment_ids[:, None, :]


def _causality_suffices(segment_ids: Int[Tensor, "B T"]) -> bool:
    first = segment_ids[:, :1]
    in_first = segment_ids == first
    only_first_or_padding = in_first | (segment_ids < 0)
    is_prefix = in_first[:, :-1] >= in_first[:, 1:]
    return bool((first >= 0).all() & only_first_or_padding.all() & is_prefix.all())
