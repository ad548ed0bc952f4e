"""Named tensors in one safetensors file that carries the SHA-256 of its own content."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from llmcore.checkpoint.atomic import atomic_file
from llmcore.errors import CheckpointError

CHECKSUM_KEY: Final = "llmcore.sha256"
"""Metadata key of the digest over names, dtypes, shapes, values and the other metadata."""


def save_tensors(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors atomically as safetensors, with a checksum in the metadata.

    Args:
        path: Target file; its directory must exist.
        tensors: Any device and strides; stored contiguous. Two names must not share memory.
        metadata: Text stored beside the tensors.

    Raises:
        CheckpointError: the file cannot be written; the previous file is untouched.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    notes = {"format": "pt", **(metadata or {})}
    notes[CHECKSUM_KEY] = _digest(stored, notes)
    with atomic_file(path) as temp:
        safetensors.torch.save_file(stored, temp, metadata=notes)


def load_tensors(path: str | Path, *, require_checksum: bool = False) -> dict[str, Tensor]:
    """Read a safetensors file and verify its checksum.

    Args:
        path: File written by `save_tensors`, or by anyone as safetensors.
        require_checksum: Refuse files without a checksum (other programs write none).

    Raises:
        CheckpointError: missing, truncated or altered file; the message names it.
    """
    return load_with_metadata(path, require_checksum=require_checksum)[0]


def load_with_metadata(
    path: str | Path, *, require_checksum: bool = False
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """`load_tensors`, and the metadata without the checksum.

    Args:
        path: File written by `save_tensors`, or by anyone as safetensors.
        require_checksum: Refuse files without a checksum.

    Raises:
        CheckpointError: missing, truncated or altered file; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged or not safetensors ({error})") from error
    expected = notes.pop(CHECKSUM_KEY, None)
    if expected is None and require_checksum:
        raise CheckpointError(f"{path}: damaged, its checksum is missing")
    if expected is not None and _digest(tensors, notes) != expected:
        raise CheckpointError(f"{path}: damaged, its content does not match its checksum")
    return tensors, notes


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(metadata):
        digest.update(repr((key, metadata[key])).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
