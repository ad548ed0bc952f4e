"""Instruction data from the skills: training rows and held-out exercises."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from llmcore.data.skills.skill import Instance, Skill, render, split_words


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise:
    """A prompt with its one right answer."""

    skill: str
    prompt: str
    answer: str


def training_exercises(
    skills: Sequence[Skill], words: Sequence[str], *, num_exercises: int, seed: int
) -> list[Exercise]:
    """Draw distinct exercises, skills in equal shares, from training words and wordings only."""
    train_words, _ = split_words(words)
    return _draw(skills, train_words, num_exercises, seed=seed, held_out=False, forbidden=set())


def held_out_exercises(
    skills: Sequence[Skill],
    words: Sequence[str],
    training: Sequence[Exercise],
    *,
    num_exercises: int,
    seed: int,
    unseen_words: bool = False,
) -> list[Exercise]:
    """Draw exercises whose inputs and wordings never occur in `training`.

    Args:
        skills: Those of `training`.
        words: As for `training_exercises`.
        training: Its inputs are left out.
        num_exercises: Over all skills, fewer if their inputs run out.
        seed: As for `training_exercises`.
        unseen_words: Compose the inputs from words that occur in no training exercise, the
            stricter test; otherwise from the training words, in new combinations.
    """
    seen = {_input_of(exercise) for exercise in training}
    return _draw(
        skills,
        split_words(words)[unseen_words],
        num_exercises,
        seed=seed,
        held_out=True,
        forbidden=seen,
    )


def _draw(
    skills: Sequence[Skill],
    words: Sequence[str],
    num_exercises: int,
    *,
    seed: int,
    held_out: bool,
    forbidden: set[str],
) -> list[Exercise]:
    rng = random.Random(f"{seed}:{held_out}")
    wordings = {skill.name: skill.wordings(held_out=held_out) for skill in skills}
    drawn: dict[str, Exercise] = {}
    attempts = 0
    while len(drawn) < num_exercises and attempts < 20 * num_exercises:
        skill = skills[attempts % len(skills)]
        attempts += 1
        instance = skill.make(rng, words)
        exercise = _exercise(skill, rng.choice(wordings[skill.name]), instance)
        if _input_of(exercise) not in forbidden:
            drawn.setdefault(exercise.prompt, exercise)
    return list(drawn.values())


def _exercise(skill: Skill, wording: str, instance: Instance) -> Exercise:
    return Exercise(skill=skill.name, prompt=render(wording, instance), answer=instance.answer)


def _input_of(exercise: Exercise) -> str:
    return f"{exercise.skill}:{exercise.prompt.rpartition(chr(10))[2]}"
