"""The data of a run: split before anything is learned, disjoint, balanced, from anyone's text."""

import json
from dataclasses import replace

import pytest

from llmcore.data import read_conversations, read_documents, read_preferences
from llmcore.errors import DataError
from llmcore.evals import read_questions
from llmcore.pipeline import Layout
from llmcore.pipeline.prepare import (
    exercise_words,
    gather_documents,
    generate_chats,
    split,
    train_tokenizer,
)
from llmcore.tokenizers import Tokenizer
from tests.support import toy


def test_the_held_out_documents_are_the_split_s(finished, toy_pipeline):
    layout, metrics = finished
    train, held_out = split(toy_pipeline, layout)
    kept = [d.text for d in read_documents(layout.documents_held_out)]
    assert [d.text for d in held_out] == kept
    assert not set(kept) & {d.text for d in train}
    assert metrics["data"]["num_documents"] == len(train) + len(held_out)


def test_exercises_are_held_out_and_styles_balanced(finished):
    layout, _ = finished
    chats = read_conversations(layout.sft_train)
    prompts = {chat[0].content for chat in chats}
    questions = read_questions(layout.exercises_held_out)
    assert len(questions) == 28
    assert not prompts & {q.prompt for q in questions}
    answers = {chat[0].content: chat[1].content for chat in chats[-20:]}
    assert len(chats) == 220
    assert sum("!" in a or "?" in a.rpartition(".")[2] for a in answers.values()) > 4


def test_pairs_are_held_out(finished):
    layout, _ = finished
    train, held_out = map(read_preferences, (layout.dpo_train, layout.preferences_held_out))
    assert (len(train), len(held_out)) == (24, 16)
    assert not {p.prompt for p in train} & {p.prompt for p in held_out}


def test_someone_s_text_takes_the_place_of_python_s(tmp_path, toy_pipeline):
    source = tmp_path / "mine.txt"
    source.write_text(toy.TEXT * 4, encoding="utf-8")
    config = replace(toy_pipeline, data=str(source), max_data_bytes=10**6)
    layout = Layout(tmp_path / "run")
    facts = gather_documents(config, layout)
    assert facts["num_bytes"] == len(toy.TEXT) * 4
    assert facts["source"] == str(source)
    assert "".join(d.text for d in read_documents(layout.documents)) == toy.TEXT * 4
    assert train_tokenizer(config, layout)["vocab_size"] <= 400
    assert generate_chats(config, layout)["num_words"] == 600


def test_the_cap_stops_the_reading(tmp_path, toy_pipeline):
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": f"{i:04d}" * 25}) + "\n" for i in range(100)))
    config = replace(toy_pipeline, data=str(source), max_data_bytes=1_000)
    assert gather_documents(config, Layout(tmp_path / "run"))["num_bytes"] == 1_000


def test_missing_data_leaves_nothing_behind(tmp_path, toy_pipeline):
    config = replace(toy_pipeline, data=str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="nothing"):
        gather_documents(config, Layout(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_too_little_text_is_refused_before_anything_is_trained(tmp_path, toy_pipeline):
    source = tmp_path / "rows.jsonl"
    source.write_text('{"text": "one"}\n{"text": "two"}\n')
    with pytest.raises(DataError, match="at least 3 documents"):
        gather_documents(replace(toy_pipeline, data=str(source)), Layout(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_words_of_the_text_come_first():
    tokenizer = Tokenizer.train([toy.TEXT], vocab_size=300)
    words = exercise_words(["zebra " * 9, "quokka " * 9], tokenizer)
    assert len(words) == 600
    assert "return" in words
