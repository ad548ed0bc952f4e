"""Every skill's answers are right, checked by code that shares nothing with the generators."""

import random
import re

import pytest

from llmcore.data.skills import SKILLS, render

WORDS = [f"{a}{b}{c}o" for a in "bcdfg" for b in "aeiou" for c in "lmnrst"]
SIGNS = {"dash": "-", "plus": "+", "slash": "/", "colon": ":", "star": "*", "dot": "."}


def expected(skill: str, request: str, text: str) -> str:
    items = text.split(",")
    asked = [word for word in re.findall(r"[a-z]+", request) if word in WORDS]
    match skill:
        case "repeat":
            return text
        case "first item":
            return items[0]
        case "last item":
            return items[-1]
        case "swap two" | "reverse":
            return ",".join(items[::-1])
        case "join":
            return next(sign for name, sign in SIGNS.items() if name in request).join(items)
        case "python list":
            return repr(items).replace(" ", "")
        case "python call":
            return f"{items[0]}({','.join(items[1:])})"
        case "item after":
            return items[items.index(asked[0]) + 1]
        case "membership":
            return "yes" if asked[0] in items else "no"
        case "count":
            return str(len(items))
        case "sort digits":
            return " ".join(map(str, sorted(map(int, text.split()))))
        case "upper case":
            return "".join(x if x == "," else chr(ord(x) - 32) for x in text)
        case _:
            return str(sum(map(int, text.split(" + "))))


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_answers_are_right(skill):
    rng = random.Random(0)
    wordings = skill.wordings(held_out=False)
    for _ in range(200):
        instance = skill.make(rng, WORDS)
        prompt = render(rng.choice(wordings), instance)
        request, _, text = prompt.partition("\n")
        assert instance.answer == expected(skill.name, request.lower(), text)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_there_are_many_wordings_on_both_sides(skill):
    assert len(skill.wordings(held_out=False)) >= 40
    assert len(skill.wordings(held_out=True)) >= 8


def test_names_are_distinct_and_some_skills_are_hard():
    assert len({skill.name for skill in SKILLS}) == len(SKILLS) >= 8
    assert sum(skill.hard for skill in SKILLS) >= 2
