"""Exact match counts what a model says, not what it almost says."""

import pytest
import torch

from llmcore.errors import DataError
from llmcore.evals.exact_match import Answer, Question, answer_questions, exact_match
from llmcore.models import load_pretrained
from llmcore.tokenizers import Tokenizer


def answer(group: str, expected: str, text: str) -> Answer:
    return Answer(question=Question(group=group, prompt="?", answer=expected), text=text)


def test_shares_per_group():
    answers = [
        answer("b", "yes", "yes"),
        answer("a", "1 2", "1 2\n"),
        answer("a", "1 2", "1  2"),
        answer("a", "x", "X"),
        answer("a", "x", ""),
    ]
    assert exact_match(answers) == {"b": 1.0, "a": 0.25}
    assert list(exact_match(answers)) == ["b", "a"]


def test_the_model_is_asked_as_in_a_chat(model_dir):
    model = load_pretrained(model_dir, dtype=torch.float32)
    tokenizer = Tokenizer.load(model_dir)
    questions = [Question(group="g", prompt=f"Say {i}.", answer="") for i in range(3)]
    together = answer_questions(model, tokenizer, questions)
    assert [a.question for a in together] == questions
    assert [answer_questions(model, tokenizer, [q])[0].text for q in questions] == [
        a.text for a in together
    ]


def test_a_model_that_only_closes_its_turn_says_nothing(model_dir):
    model = load_pretrained(model_dir, dtype=torch.float32)
    tokenizer = Tokenizer.load(model_dir)
    stop_id = tokenizer.token_to_id("<|im_end|>")
    with torch.no_grad():
        # Tied head: hidden states have positive overlap with this row once it is all their norm.
        model.embed.weight.zero_()
        model.final_norm.weight.fill_(0.0)
        model.embed.weight[stop_id] = 1.0
        model.final_norm.weight.fill_(1.0)
        model.embed.weight[:stop_id] = 0.01
    [said] = answer_questions(model, tokenizer, [Question(group="g", prompt="hm", answer="")])
    assert said.text == ""
    assert said.is_right


def test_no_questions_are_refused(model_dir):
    model = load_pretrained(model_dir, dtype=torch.float32)
    with pytest.raises(DataError, match="questions"):
        answer_questions(model, Tokenizer.load(model_dir), [])
