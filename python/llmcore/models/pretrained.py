"""Model directories in the Hugging Face layout: save and load."""

import os

import torch

from llmcore.models.decoder import Decoder
from llmcore.tokenizers import Tokenizer


def save_pretrained(
    model: Decoder,
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer | None = None,
    chat: bool = False,
) -> None:
    raise RuntimeError


def load_pretrained(
    path: str | os.PathLike[str], *, dtype: torch.dtype | None = None
) -> Decoder:
    raise RuntimeError


def load_stop_ids(path: str | os.PathLike[str]) -> tuple[int, ...]:
    raise RuntimeError
