"""Held-out exercises survive a round trip through their file."""

import pytest

from llmcore.errors import DataError
from llmcore.evals.exact_match import Question
from llmcore.evals.questions import read_questions, write_questions


def test_round_trip(tmp_path):
    path = tmp_path / "questions.jsonl"
    questions = [
        Question(group="last item", prompt="Say:\na,b", answer="b"),
        Question(group="ü", prompt="two", answer="€ 2"),
    ]
    write_questions(path, questions)
    assert read_questions(path) == questions


def test_rows_without_a_skill_are_one_group(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    assert read_questions(path)[0].group == "all"


def test_longer_chats_are_refused(tmp_path):
    path = tmp_path / "questions.jsonl"
    turns = ", ".join(
        f'{{"role": "{role}", "content": "x"}}'
        for role in ("user", "assistant", "user", "assistant")
    )
    path.write_text(f'{{"messages": [{turns}]}}\n')
    with pytest.raises(DataError, match="row 1"):
        read_questions(path)
