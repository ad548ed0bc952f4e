"""Atomic files, checksummed tensors and the checkpoints of a run."""

from llmcore.checkpoint.atomic import atomic_directory, atomic_file, atomic_write
from llmcore.checkpoint.manager import Checkpoint, CheckpointManager, load_checkpoint
from llmcore.checkpoint.tensors import load_tensors, load_with_metadata, save_tensors

__all__ = [
    "Checkpoint",
    "CheckpointManager",
    "atomic_directory",
    "atomic_file",
    "atomic_write",
    "load_checkpoint",
    "load_tensors",
    "load_with_metadata",
    "save_tensors",
]
