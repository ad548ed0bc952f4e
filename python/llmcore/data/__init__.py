"""Documents, conversations and preferences as batches of token tensors."""

from llmcore.data.packing import PADDING_SEGMENT, PackedBatch

__all__ = [
    "PADDING_SEGMENT",
    "PackedBatch",
]
