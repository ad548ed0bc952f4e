"""Measure one model directory on held-out files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from llmcore.data.conversations import read_preferences
from llmcore.data.documents import Document, read_documents
from llmcore.decoding import SamplingParams
from llmcore.errors import ConfigError
from llmcore.evals.bits_per_byte import TextScore, score_documents
from llmcore.evals.config import EvalConfig
from llmcore.evals.exact_match import answer_questions, exact_match
from llmcore.evals.kl import answer_divergence
from llmcore.evals.preference_accuracy import preference_accuracy
from llmcore.evals.questions import read_questions
from llmcore.models import Decoder, load_pretrained
from llmcore.tokenizers import END_OF_TEXT, IM_END, Tokenizer


def run(config: EvalConfig) -> dict[str, float]:
    """Measure what the config names data for.

    Returns:
        `bits_per_byte`, `exact_match` and `exact_match/<skill>`, `preference_accuracy`,
        `kl_per_token` and `kl_per_answer` (nats), as far as data is given.

    Raises:
        ConfigError: no data is given and none lies beside the model.
        CheckpointError, DataError: damaged model or malformed data.
    """
    config = with_default_data(config)
    model = load_pretrained(config.model, dtype=torch.float32)
    tokenizer = Tokenizer.load(config.model)
    metrics: dict[str, float] = {}
    if config.documents:
        documents = read_documents(config.documents)
        seq_len = min(config.seq_len, model.config.max_seq_len)
        score = score_texts(
            model, tokenizer, documents, seq_len=seq_len, batch_size=config.batch_size
        )
        metrics["bits_per_byte"] = score.bits_per_byte
    if config.exercises:
        metrics |= _exact_match(config, model, tokenizer)
    if config.preferences:
        metrics |= _preferences(config, model, tokenizer)
    return metrics


def with_default_data(config: EvalConfig) -> EvalConfig:
    """Fill in the held-out files beside the model if the config names none."""
    if config.documents or config.exercises or config.preferences:
        return config
    folder = Path(config.model).parent / "data"
    documents, exercises, preferences = (
        str(path) if path.is_file() else ""
        for name in ("documents", "exercises", "preferences")
        if (path := folder / f"{name}_held_out.jsonl")
    )
    if not (documents or exercises or preferences):
        raise ConfigError(
            "EvalConfig: documents, exercises or preferences must be given, got none and no "
            f"held-out files in {folder}"
        )
    return replace(config, documents=documents, exercises=exercises, preferences=preferences)


def score_texts(
    model: Decoder,
    tokenizer: Tokenizer,
    documents: Iterable[Document],
    *,
    seq_len: int,
    batch_size: int = 16,
) -> TextScore:
    """Bits per byte of documents, each between two separators.

    Raises:
        ConfigError: the tokenizer has no separator.
    """
    separator = tokenizer.token_to_id(END_OF_TEXT)
    if separator is None:
        raise ConfigError(f"score_texts: tokenizer must have the token {END_OF_TEXT}, got none")
    ids, num_bytes = [], 0
    for document in documents:
        num_bytes += document.num_bytes
        ids.append(np.array([separator, *tokenizer.encode(document.text), separator], np.int64))
    return score_documents(model, ids, num_bytes=num_bytes, seq_len=seq_len, batch_size=batch_size)


def _exact_match(config: EvalConfig, model: Decoder, tokenizer: Tokenizer) -> dict[str, float]:
    stop_id = tokenizer.token_to_id(IM_END)
    params = SamplingParams(
        max_new_tokens=config.max_new_tokens, stop_ids=() if stop_id is None else (stop_id,)
    )
    answers = answer_questions(
        model,
        tokenizer,
        read_questions(config.exercises),
        params=params,
        batch_size=config.batch_size,
    )
    right = sum(answer.is_right for answer in answers)
    by_skill = exact_match(answers).items()
    return {
        "exact_match": right / len(answers),
        **{f"exact_match/{skill}": share for skill, share in by_skill},
    }


def _preferences(config: EvalConfig, model: Decoder, tokenizer: Tokenizer) -> dict[str, float]:
    pairs = read_preferences(config.preferences)
    score = preference_accuracy(model, tokenizer, pairs, batch_size=config.batch_size)
    metrics = {"preference_accuracy": score.accuracy}
    if config.reference:
        kl = answer_divergence(
            model,
            load_pretrained(config.reference, dtype=torch.float32),
            tokenizer,
            [pair.prompt[-1].content for pair in pairs],
            seed=config.seed,
            max_new_tokens=config.max_new_tokens,
            batch_size=config.batch_size,
        )
        metrics |= {"kl_per_token": kl.per_token, "kl_per_answer": kl.per_answer}
    return metrics
