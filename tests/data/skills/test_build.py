"""Exercises: distinct, deterministic, and held out in words, inputs and wordings."""

from collections import Counter

import pytest

from llmcore.data.skills import SKILLS, held_out_exercises, split_words, training_exercises

WORDS = [f"{a}{b}{c}o" for a in "bcdfghk" for b in "aeiou" for c in "lmnrst"]


@pytest.fixture(scope="module")
def training():
    return training_exercises(SKILLS, WORDS, num_exercises=3000, seed=5)


@pytest.fixture(scope="module")
def held_out(training):
    return held_out_exercises(SKILLS, WORDS, training, num_exercises=280, seed=5)


def test_exercises_are_distinct_and_repeatable(training):
    assert len({e.prompt for e in training}) == len(training) == 3000
    assert training == training_exercises(SKILLS, WORDS, num_exercises=3000, seed=5)
    assert training != training_exercises(SKILLS, WORDS, num_exercises=3000, seed=6)


def test_skills_have_about_equal_shares(training, held_out):
    for exercises in (training, held_out):
        counts = Counter(e.skill for e in exercises)
        assert set(counts) == {skill.name for skill in SKILLS}
        assert min(counts.values()) >= 0.5 * len(exercises) / len(SKILLS)


@pytest.mark.parametrize("unseen_words", [False, True])
def test_held_out_inputs_and_wordings_never_occur_in_training(training, unseen_words):
    held_out = held_out_exercises(
        SKILLS, WORDS, training, num_exercises=280, seed=5, unseen_words=unseen_words
    )
    inputs = {(e.skill, e.prompt.rpartition("\n")[2]) for e in training}
    requests = {e.prompt.partition("\n")[0] for e in training}
    allowed = set(split_words(WORDS)[unseen_words])
    assert len(held_out) == 280
    for exercise in held_out:
        request, _, text = exercise.prompt.rpartition("\n")
        assert (exercise.skill, text) not in inputs
        assert request not in requests
        assert {word for word in text.split(",") if word.isalpha()} <= allowed


def test_training_uses_training_words_only(training):
    _, kept_words = split_words(WORDS)
    text = "\n".join(e.prompt.partition("\n")[2] for e in training).replace("\n", ",")
    assert not set(kept_words) & set(text.split(","))
