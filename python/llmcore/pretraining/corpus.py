"""Documents to token ids, split before training and tokenised once per run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from llmcore.checkpoint import load_with_metadata, save_tensors
from llmcore.data.documents import Document, read_documents, split_documents
from llmcore.data.pretrain_stream import TokenizedDocuments
from llmcore.data.python_corpus import python_documents
from llmcore.errors import CheckpointError, ConfigError
from llmcore.pretraining.config import PretrainConfig
from llmcore.tokenizers import END_OF_TEXT, Tokenizer

CACHE_FILE: Final = "tokens.safetensors"
_BATCH_DOCUMENTS: Final = 256


@dataclass(frozen=True, kw_only=True)
class TokenizedCorpus:
    """Training and held-out documents as token ids."""

    train: TokenizedDocuments
    val: TokenizedDocuments
    separator_id: int
    """Id of <|endoftext|>."""


def tokenize_corpus(
    config: PretrainConfig, tokenizer: Tokenizer, cache_dir: Path
) -> TokenizedCorpus:
    """Read, split and tokenise the documents, or take the ids of an earlier call.

    Args:
        config: Data, split and model.
        tokenizer: Must know <|endoftext|> and fit the model's vocabulary.
        cache_dir: Existing directory for the token file.

    Raises:
        DataError: no text, or too little for a held-out part.
        ConfigError: the tokenizer does not suit the model.
    """
    separator_id = _separator_id(config, tokenizer)
    documents = read_documents(config.data) if config.data else python_documents()
    train, val = split_documents(
        documents, val_fraction=config.val_fraction, seed=config.split_seed
    )
    key = _corpus_key(config, train, val)
    path = cache_dir / CACHE_FILE
    parts = _load_cache(path, key)
    if parts is None:
        parts = (tokenize_documents(train, tokenizer), tokenize_documents(val, tokenizer))
        _save_cache(path, key, parts)
    return TokenizedCorpus(train=parts[0], val=parts[1], separator_id=separator_id)


def tokenize_documents(documents: Sequence[Document], tokenizer: Tokenizer) -> TokenizedDocuments:
    """Token ids of documents, in order; text that looks like a special token stays text.

    Args:
        documents: Read whole; encoded a few hundred at a time.
        tokenizer: Its `encode_batch` does the work.
    """
    ids: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    for start in range(0, len(documents), _BATCH_DOCUMENTS):
        texts = [document.text for document in documents[start : start + _BATCH_DOCUMENTS]]
        batch_ids, offsets = tokenizer.encode_batch(texts)
        ids.append(batch_ids.astype(np.int32))
        lengths.append(np.diff(offsets.astype(np.int64)))
    return TokenizedDocuments(
        ids=np.concatenate(ids), offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    )


def _separator_id(config: PretrainConfig, tokenizer: Tokenizer) -> int:
    separator_id = tokenizer.token_to_id(END_OF_TEXT)
    if separator_id is None:
        raise ConfigError(f"{config.tokenizer}: the tokenizer must have the token {END_OF_TEXT}")
    if tokenizer.vocab_size > config.model.vocab_size:
        raise ConfigError(
            f"PretrainConfig: model.vocab_size must be at least the tokenizer's "
            f"{tokenizer.vocab_size}, got {config.model.vocab_size}"
        )
    return separator_id


def _corpus_key(config: PretrainConfig, train: Sequence[Document], val: Sequence[Document]) -> str:
    tokenizer = Path(config.tokenizer)
    file = tokenizer / "tokenizer.json" if tokenizer.is_dir() else tokenizer
    digest = hashlib.sha256(file.read_bytes())
    digest.update(repr((len(train), len(val))).encode())
    for document in [*train, *val]:
        digest.update(document.text.encode(errors="surrogatepass") + b"\0")
    return digest.hexdigest()


def _load_cache(path: Path, key: str) -> tuple[TokenizedDocuments, TokenizedDocuments] | None:
    try:
        tensors, notes = load_with_metadata(path, require_checksum=True)
    except CheckpointError:
        return None
    if notes.get("corpus_sha256") != key:
        return None
    train, val = (
        TokenizedDocuments(
            ids=tensors[f"{part}.ids"].numpy(), offsets=tensors[f"{part}.offsets"].numpy()
        )
        for part in ("train", "val")
    )
    return train, val


def _save_cache(path: Path, key: str, parts: tuple[TokenizedDocuments, TokenizedDocuments]) -> None:
    tensors = {}
    for part, documents in zip(("train", "val"), parts, strict=True):
        tensors[f"{part}.ids"] = torch.from_numpy(documents.ids)
        tensors[f"{part}.offsets"] = torch.from_numpy(documents.offsets)
    save_tensors(path, tensors, {"corpus_sha256": key})
