"""Atomic files, checksummed tensors and the checkpoints of a run."""

from llmcore.checkpoint.atomic import atomic_directory, atomic_file, atomic_write
from llmcore.checkpoint.tensors import load_tensors, load_with_metadata, save_tensors

__all__ = [
    "atomic_directory",
    "atomic_file",
    "atomic_write",
    "load_tensors",
    "load_with_metadata",
    "save_tensors",
]
