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
    if not torch.compiler.is_compiling():
        first = segment_ids[:, :1]
        is_first = segment_ids == first
        if bool((is_first | (segment_ids < 0)).all()) and bool((first >= 0).all()):
            # A row that is one segment and padding: causality suffices unless padding comes first
            # or in the middle, and then is_first is not a prefix.
            if bool((is_first[:, :-1] >= is_first[:, 1:]).all()):
                return None
    return segment_ids[:, :, None] == segment_ids[:, None, :]
