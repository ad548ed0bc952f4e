"""The data of a run: documents, tokenizer, exercises and preference pairs."""

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from llmcore.checkpoint import atomic_file
from llmcore.data.chat import Message
from llmcore.data.conversations import PreferencePair, write_conversations, write_preferences
from llmcore.data.documents import Document, read_documents, split_documents
from llmcore.data.preferences import StylePair, style_pairs
from llmcore.data.python_corpus import python_documents
from llmcore.data.skills import SKILLS, Exercise, frequent_words, held_out_exercises, short_words
from llmcore.data.skills import training_exercises as draw_training_exercises
from llmcore.errors import DataError
from llmcore.evals import Question, write_questions
from llmcore.pipeline.config import PipelineConfig
from llmcore.pipeline.layout import Layout
from llmcore.tokenizers import CHAT_SPECIAL_TOKENS, Tokenizer

_NUM_WORDS = 600


def gather_documents(config: PipelineConfig, layout: Layout) -> dict[str, Any]:
    """Write the documents and their held-out part as JSONL.

    Raises:
        DataError: missing, malformed or too little text.
    """
    if config.data:
        documents = list(_up_to(read_documents(config.data), config.max_data_bytes))
    else:
        documents = python_documents(max_bytes=config.max_data_bytes)
    train, held_out = split_documents(
        documents, val_fraction=config.val_fraction, seed=config.data_seed
    )
    if len(train) < 2:
        raise DataError(
            f"quickstart: {config.data or 'corpus'} must hold at least 3 documents "
            f"(a text of 100 kB is cut into as many), got {len(documents)}"
        )
    layout.documents.parent.mkdir(parents=True, exist_ok=True)
    _write_documents(layout.documents, documents)
    _write_documents(layout.documents_held_out, held_out)
    return {
        "source": config.data or "the Python standard library and its help topics",
        "num_documents": len(documents),
        "num_bytes": sum(d.num_bytes for d in documents),
        "num_train_documents": len(train),
        "num_train_bytes": sum(d.num_bytes for d in train),
        "num_held_out_documents": len(held_out),
        "num_held_out_bytes": sum(d.num_bytes for d in held_out),
    }


def train_tokenizer(config: PipelineConfig, layout: Layout) -> dict[str, Any]:
    """Learn the byte-level BPE from the training documents."""
    train, _ = split(config, layout)
    tokenizer = Tokenizer.train(
        (document.text for document in train),
        vocab_size=config.vocab_size,
        special_tokens=CHAT_SPECIAL_TOKENS,
    )
    layout.tokenizer.mkdir(parents=True, exist_ok=True)
    tokenizer.save(layout.tokenizer)
    return {"vocab_size": tokenizer.vocab_size}


def generate_chats(config: PipelineConfig, layout: Layout) -> dict[str, Any]:
    """Write the instruction data, the held-out exercises and the preference pairs."""
    train, _ = split(config, layout)
    words = exercise_words((document.text for document in train), Tokenizer.load(layout.tokenizer))
    seed = config.data_seed
    exercises = draw_training_exercises(
        SKILLS, words, num_exercises=config.num_exercises, seed=seed
    )
    num_held_out = config.num_eval_exercises * len(SKILLS)
    held_out, unseen = (
        held_out_exercises(
            SKILLS,
            words,
            exercises,
            num_exercises=num_held_out,
            seed=seed,
            unseen_words=unseen_words,
        )
        for unseen_words in (False, True)
    )
    styles = style_pairs(num_pairs=config.num_style_chats, seed=seed, held_out=False)
    write_conversations(layout.sft_train, _chats(exercises, styles, seed=seed))
    write_questions(layout.exercises_held_out, map(_question, held_out))
    write_questions(layout.exercises_unseen_words, map(_question, unseen))
    pairs = style_pairs(num_pairs=config.num_pairs, seed=seed + 1, held_out=False)
    held_out_pairs = style_pairs(num_pairs=config.num_eval_pairs, seed=seed + 1, held_out=True)
    write_preferences(layout.dpo_train, map(_preference, pairs))
    write_preferences(layout.preferences_held_out, map(_preference, held_out_pairs))
    return {
        "num_words": len(words),
        "num_exercises": len(exercises),
        "num_style_chats": len(styles),
        "num_eval_exercises": len(held_out),
        "num_pairs": len(pairs),
        "num_eval_pairs": len(held_out_pairs),
        "skills": [skill.name for skill in SKILLS],
        "hard_skills": [skill.name for skill in SKILLS if skill.hard],
    }


def split(config: PipelineConfig, layout: Layout) -> tuple[list[Document], list[Document]]:
    """The split that `gather_documents` made."""
    return split_documents(
        read_documents(layout.documents), val_fraction=config.val_fraction, seed=config.data_seed
    )


def exercise_words(texts: Iterable[str], tokenizer: Tokenizer) -> list[str]:
    """Frequent short words of the texts; where these have few, words of Python's documents join."""
    words = frequent_words(texts)
    if len(words) < _NUM_WORDS:
        more = frequent_words(d.text for d in python_documents(max_bytes=1_000_000))
        words = list(dict.fromkeys([*words, *more]))
    return short_words(words, tokenizer, num_words=_NUM_WORDS)


def _up_to(documents: Iterator[Document], max_bytes: int) -> Iterator[Document]:
    """Documents until their bytes reach `max_bytes`; always at least two."""
    total = 0
    for number in itertools.count():
        document = next(documents, None)
        if document is None or (number >= 2 and total >= max_bytes):
            return
        total += document.num_bytes
        yield document


def _write_documents(path: Path, documents: Iterable[Document]) -> None:
    rows = (json.dumps({"name": d.name, "text": d.text}, ensure_ascii=False) for d in documents)
    with atomic_file(path) as temp, temp.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(row + "\n" for row in rows)


def _chats(
    exercises: Iterable[Exercise], styles: Iterable[StylePair], *, seed: int
) -> Iterator[list[Message]]:
    rng = random.Random(f"{seed}:styles")
    answered = [(e.prompt, e.answer) for e in exercises]
    # A shuffled half, so that both styles are equally frequent whatever the seed.
    styles = list(styles)
    warm = [i % 2 == 0 for i in range(len(styles))]
    rng.shuffle(warm)
    answered += [(s.prompt, s.warm if w else s.flat) for s, w in zip(styles, warm, strict=True)]
    for prompt, answer in answered:
        yield [Message(role="user", content=prompt), Message(role="assistant", content=answer)]


def _question(exercise: Exercise) -> Question:
    return Question(group=exercise.skill, prompt=exercise.prompt, answer=exercise.answer)


def _preference(pair: StylePair) -> PreferencePair:
    return PreferencePair(
        prompt=(Message(role="user", content=pair.prompt),),
        chosen=(Message(role="assistant", content=pair.warm),),
        rejected=(Message(role="assistant", content=pair.flat),),
    )
