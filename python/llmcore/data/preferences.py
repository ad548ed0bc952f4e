"""Preference pairs for alignment: warm rather than flat, and right rather than wrong answers."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmcore.data.skills.build import Exercise
from llmcore.data.skills.manners import NAMES, OCCASIONS
from llmcore.data.skills.skill import is_held_out


@dataclass(frozen=True, kw_only=True, slots=True)
class StylePair:
    """One request and the same answer in the preferred and in the other style."""

    occasion: str
    prompt: str
    warm: str
    flat: str


def style_pairs(*, num_pairs: int, seed: int, held_out: bool) -> list[StylePair]:
    """Draw requests with one warm and one flat answer each.

    A held-out pair uses names *and* wordings that never occur on the other side.

    Args:
        num_pairs: Pairs drawn; the occasions take turns.
        seed: Same seed, same pairs, on every machine.
        held_out: Which side of the split to draw from.
    """
    draws = _draws(random.Random(f"{seed}:{held_out}"), held_out=held_out)
    return [next(draws) for _ in range(num_pairs)]


def wrong_answers(
    exercises: Sequence[Exercise], *, num_answers: int, seed: int
) -> list[tuple[Exercise, str]]:
    """Exercises, each with a wrong answer: the right one of another exercise of its skill.

    Pairs of right and wrong answers keep a model's skills in place while it learns a style.

    Args:
        exercises: Drawn from, each at most once; those of a skill with one answer are left out.
        num_answers: At most this many.
        seed: Same seed, same choice.
    """
    rng = random.Random(f"{seed}:wrong")
    answers: dict[str, list[str]] = {}
    for exercise in exercises:
        answers.setdefault(exercise.skill, []).append(exercise.answer)
    chosen = []
    for exercise in rng.sample(exercises, len(exercises)):
        wrong = rng.choice(answers[exercise.skill])
        if wrong != exercise.answer and len(chosen) < num_answers:
            chosen.append((exercise, wrong))
    return chosen


def _draws(rng: random.Random, *, held_out: bool) -> Iterator[StylePair]:
    names = [name for name in NAMES if is_held_out(f"name:{name}") == held_out]
    wordings = {
        title: [w for w in occasion.wordings() if is_held_out(f"{title}:{w}") == held_out]
        for title, occasion in OCCASIONS.items()
    }
    while True:
        for title, occasion in OCCASIONS.items():
            name = rng.choice(names)
            yield StylePair(
                occasion=title,
                prompt=rng.choice(wordings[title]).format(name=name),
                warm=rng.choice(occasion.warm).format(name=name),
                flat=rng.choice(occasion.flat).format(name=name),
            )
