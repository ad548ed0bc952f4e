"""What the run measures after each stage, on data held out before training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmcore.data import Message, encode_chat, read_preferences
from llmcore.data.documents import read_documents
from llmcore.data.pretrain_stream import TokenizedDocuments
from llmcore.decoding import SamplingParams
from llmcore.evals import (
    Answer,
    answer_divergence,
    answer_questions,
    exact_match,
    ngram_baseline,
    preference_accuracy,
    read_questions,
    score_documents,
)
from llmcore.inference import generate
from llmcore.models import Decoder, load_pretrained
from llmcore.pipeline.config import PipelineConfig
from llmcore.pipeline.layout import Layout
from llmcore.pipeline.stages import pretrain_config
from llmcore.pretraining import tokenize_corpus
from llmcore.tokenizers import END_OF_TEXT, IM_END, Tokenizer

_MAX_ANSWER_TOKENS = 40
_SAMPLES_PER_SKILL = 2


def measure_language(config: PipelineConfig, layout: Layout) -> dict[str, Any]:
    """Bits per byte of the pre-trained model and of 3-gram models on the same tokens."""
    model, tokenizer = load(layout, "pretrain")
    corpus = tokenize_corpus(pretrain_config(config, layout), tokenizer, layout.stage("pretrain"))
    train, held_out = (_framed(part, corpus.separator_id) for part in (corpus.train, corpus.val))
    num_bytes = sum(d.num_bytes for d in read_documents(layout.documents_held_out))
    score = score_documents(
        model, held_out, num_bytes=num_bytes, seq_len=config.pretrain.train.seq_len
    )
    ngram = ngram_baseline(train, held_out, vocab_size=config.vocab_size)
    return {
        "bits_per_byte": score.bits_per_byte,
        "ngram_jelinek_mercer_bits_per_byte": ngram.jelinek_mercer_bits / num_bytes,
        "ngram_kneser_ney_bits_per_byte": ngram.kneser_ney_bits / num_bytes,
        "ngram_bits_per_byte": ngram.best_bits / num_bytes,
        "gap_bits_per_byte": ngram.best_bits / num_bytes - score.bits_per_byte,
        "num_train_tokens": sum(len(ids) - 1 for ids in train),
        "num_held_out_tokens": score.num_tokens,
        "num_held_out_bytes": num_bytes,
        "continuations": _continuations(model, tokenizer),
    }


def measure_chat(config: PipelineConfig, layout: Layout, stage: str) -> dict[str, Any]:
    """Exact match per skill and preference accuracy of a stage; the KL to SFT after DPO."""
    model, tokenizer = load(layout, stage)
    answers = answer_questions(
        model,
        tokenizer,
        read_questions(layout.exercises_held_out),
        params=SamplingParams(max_new_tokens=_MAX_ANSWER_TOKENS, stop_ids=tuple(_stops(tokenizer))),
    )
    pairs = read_preferences(layout.preferences_held_out)
    preference = preference_accuracy(model, tokenizer, pairs)
    requests = [pair.prompt[-1].content for pair in pairs]
    metrics: dict[str, Any] = {
        "exact_match": sum(a.is_right for a in answers) / len(answers),
        "exact_match_by_skill": exact_match(answers),
        "preference_accuracy": preference.accuracy,
        "preference_margin": preference.mean_margin,
        "samples": _samples(answers),
        "style_samples": _style_samples(model, tokenizer, requests[:6]),
    }
    if stage == "sft":
        unseen = _ask(model, tokenizer, layout.exercises_unseen_words)
        metrics["exact_match_unseen_words"] = exact_match(unseen)
    if stage == "dpo":
        reference, _ = load(layout, "sft")
        questions = [a.question.prompt for a in answers][: len(requests)]
        for name, prompts in (("preferences", requests), ("exercises", questions)):
            kl = answer_divergence(model, reference, tokenizer, prompts, seed=config.data_seed)
            metrics[f"kl_{name}_per_token"] = kl.per_token
            metrics[f"kl_{name}_per_answer"] = kl.per_answer
    return metrics


def load(layout: Layout, stage: str) -> tuple[Decoder, Tokenizer]:
    """Model and tokenizer of a finished stage."""
    path = layout.stage(stage)
    return load_pretrained(path, dtype=torch.float32), Tokenizer.load(path)


def _ask(model: Decoder, tokenizer: Tokenizer, path: Path) -> list[Answer]:
    params = SamplingParams(max_new_tokens=_MAX_ANSWER_TOKENS, stop_ids=tuple(_stops(tokenizer)))
    return answer_questions(model, tokenizer, read_questions(path), params=params)


def _framed(documents: TokenizedDocuments, separator_id: int) -> list[np.ndarray]:
    edge = np.array([separator_id])
    parts = np.split(documents.ids.astype(np.int64), documents.offsets[1:-1])
    return [np.concatenate([edge, part, edge]) for part in parts]


def _stops(tokenizer: Tokenizer) -> list[int]:
    stop_id = tokenizer.token_to_id(IM_END)
    return [] if stop_id is None else [stop_id]


def _continuations(model: Decoder, tokenizer: Tokenizer) -> list[dict[str, str]]:
    prompts = ("def __init__(self", "import os\n", "The function returns", "class Error(")
    separator = tokenizer.token_to_id(END_OF_TEXT)
    assert separator is not None
    params = SamplingParams(
        temperature=0.7, top_k=40, seed=1, max_new_tokens=48, stop_ids=(separator,)
    )
    ids = [[separator, *tokenizer.encode(prompt)] for prompt in prompts]
    return [
        {"prompt": prompt, "text": tokenizer.decode(new)}
        for prompt, new in zip(prompts, generate(model, ids, params), strict=True)
    ]


def _samples(answers: list[Answer]) -> list[dict[str, Any]]:
    """The first answers of each skill, and its first wrong one if there is any."""
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.question.group, []).append(answer)
    chosen = []
    for group in groups.values():
        wrong = [a for a in group[_SAMPLES_PER_SKILL:] if not a.is_right][:1]
        chosen += group[:_SAMPLES_PER_SKILL] + wrong
    return [
        {
            "skill": a.question.group,
            "prompt": a.question.prompt,
            "expected": a.question.answer,
            "answer": a.text,
            "right": a.is_right,
        }
        for a in chosen
    ]


def _style_samples(
    model: Decoder, tokenizer: Tokenizer, requests: list[str]
) -> list[dict[str, str]]:
    prompts = [
        encode_chat(tokenizer, [Message(role="user", content=text)], add_generation_prompt=True).ids
        for text in requests
    ]
    params = SamplingParams(
        temperature=1.0, max_new_tokens=_MAX_ANSWER_TOKENS, stop_ids=tuple(_stops(tokenizer))
    )
    outputs = generate(model, prompts, params, seeds=list(range(len(prompts))))
    return [
        {"prompt": text, "answer": tokenizer.decode(ids)}
        for text, ids in zip(requests, outputs, strict=True)
    ]
