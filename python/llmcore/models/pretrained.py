"""Model directories in the Hugging Face layout: save and load, never through pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llmcore.checkpoint import atomic_directory, save_tensors
from llmcore.errors import CheckpointError, ConfigError
from llmcore.models import llama
from llmcore.models.decoder import Decoder
from llmcore.models.decoder_config import DecoderConfig
from llmcore.models.packing import is_packed
from llmcore.models.tokenizer_files import special_ids, tokenizer_fields
from llmcore.models.weight_files import WEIGHTS_FILE, read_weights
from llmcore.tokenizers import Tokenizer


def save_pretrained(
    model: Decoder,
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer | None = None,
    chat: bool = False,
) -> None:
    """Write a directory that `load_pretrained` and transformers' `from_pretrained` load.

    Files: model.safetensors (with a checksum of its content), config.json,
    generation_config.json and, with a tokenizer, tokenizer.json and tokenizer_config.json. Other
    files in an existing directory stay. Everything is written aside first, so a failed save leaves
    the directory as it was.

    Args:
        model: Weights are stored in their own dtype.
        path: Directory, created with its parents.
        tokenizer: Its special tokens give the begin, end and padding ids.
        chat: Whether the model was tuned on chats: a turn then ends the generation, and the
            tokenizer files carry the ChatML template.

    Raises:
        CheckpointError: a file cannot be written.
        ConfigError: the tokenizer has more ids than the model, or the model is packed.
    """
    path = Path(path)
    if is_packed(model):
        raise ConfigError(
            "save_pretrained: model must be the one before pack_for_inference, got packed weights"
        )
    if tokenizer is not None and tokenizer.vocab_size > model.config.vocab_size:
        raise ConfigError(
            f"save_pretrained: tokenizer must have at most vocab_size = {model.config.vocab_size} "
            f"ids, got {tokenizer.vocab_size}"
        )
    if not path.exists():
        with atomic_directory(path) as temp:
            _write_files(temp, model, tokenizer, chat=chat)
        return
    staged = path / ".saving"
    with atomic_directory(staged) as temp:
        _write_files(temp, model, tokenizer, chat=chat)
    # config.json goes last: until then a reader finds the old one.
    for file in sorted(staged.iterdir(), key=lambda file: file.name == "config.json"):
        os.replace(file, path / file.name)
    staged.rmdir()


def load_pretrained(path: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> Decoder:
    """Load a LLaMA-family directory, ours or one that transformers saved (sharded or not).

    Args:
        path: Directory with config.json and safetensors.
        dtype: Type to convert the weights to; None keeps the stored one.

    Returns:
        The model on the CPU.

    Raises:
        CheckpointError: a file is missing, damaged or not supported, or config.json and weights
            contradict each other; the message names the file, and the tensor with both shapes.
    """
    path = Path(path)
    config = llama.from_llama_fields(_read_json(path / "config.json"))
    stored = read_weights(path)
    with torch.device("meta"):
        model = Decoder(config)
    weights = _match_weights(model, stored, path)
    dtype = dtype or weights["embed.weight"].dtype
    model.load_state_dict({name: weight.to(dtype) for name, weight in weights.items()}, assign=True)
    return model


def load_stop_ids(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Ids that end a generation, from generation_config.json or config.json; maybe none.

    Raises:
        CheckpointError: a file is not JSON, or the ids are not integers.
    """
    path = Path(path)
    for name in ("generation_config.json", "config.json"):
        if not (path / name).is_file():
            continue
        ids = _read_json(path / name).get("eos_token_id")
        if ids is None:
            continue
        ids = ids if isinstance(ids, list) else [ids]
        if not all(isinstance(token_id, int) for token_id in ids):
            raise CheckpointError(f"{path / name}: eos_token_id must be integers, got {ids!r}")
        return tuple(ids)
    return ()


def _write_files(
    directory: Path, model: Decoder, tokenizer: Tokenizer | None, *, chat: bool
) -> None:
    keys = llama.weight_keys(model.config)
    weights = model.state_dict()
    save_tensors(directory / WEIGHTS_FILE, {keys[name]: weights[name] for name in weights})
    ids = {} if tokenizer is None else special_ids(tokenizer, chat=chat)
    dtype = str(model.embed.weight.dtype).removeprefix("torch.")
    config = {**llama.to_llama_fields(model.config), "dtype": dtype, **ids}
    _write_json(directory / "config.json", config)
    _write_json(directory / "generation_config.json", {"do_sample": False, **ids})
    if tokenizer is not None:
        tokenizer.save(directory / "tokenizer.json")
        fields = tokenizer_fields(tokenizer, max_seq_len=model.config.max_seq_len, chat=chat)
        _write_json(directory / "tokenizer_config.json", fields)


def _match_weights(model: Decoder, stored: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename stored tensors to parameters, after checking that exactly the right ones are there."""
    weights: dict[str, Tensor] = {}
    remaining = dict(stored)
    parameters = dict(model.named_parameters())
    for ours, theirs in llama.weight_keys(model.config).items():
        if theirs not in remaining:
            raise CheckpointError(f"{path}: tensor {theirs} is missing")
        weight, expected = remaining.pop(theirs), tuple(parameters[ours].shape)
        if tuple(weight.shape) != expected:
            raise CheckpointError(
                f"{path}: tensor {theirs} must be {expected} by config.json, "
                f"got {tuple(weight.shape)}"
            )
        if not weight.is_floating_point():
            raise CheckpointError(
                f"{path}: tensor {theirs} must be floating point, got {weight.dtype}"
            )
        if not bool(weight.isfinite().all()):
            raise CheckpointError(f"{path}: tensor {theirs} must be finite, got NaN or infinity")
        weights[ours] = weight
    _check_unused(model.config, weights, remaining, path)
    return weights


def _check_unused(
    config: DecoderConfig, weights: dict[str, Tensor], unused: dict[str, Tensor], path: Path
) -> None:
    for name, tensor in unused.items():
        if name.endswith(llama.IGNORED_SUFFIXES):
            continue
        if config.tie_embeddings and name == "lm_head.weight":
            if torch.equal(tensor, weights["embed.weight"]):
                continue
            raise CheckpointError(
                f"{path}: tensor {name} must equal the embedding as config.json ties them, "
                "got other values"
            )
        raise CheckpointError(f"{path}: tensor {name} is not part of the model in config.json")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: no such file") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: must be a JSON object, got {type(content).__name__}")
    return content


def _write_json(file: Path, fields: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
