"""Wordings, the split and the rendering of exercises."""

import pytest

from llmcore.data.skills.skill import Instance, Skill, is_held_out, render, split_words
from llmcore.errors import DataError

GREETING = Skill(
    name="greeting",
    hard=False,
    phrasing=(
        ("", "please"),
        ("say", "write", "print"),
        ("{word}", "the word {word}", "x"),
        ("!",),
    ),
    make=lambda rng, words: Instance(text="", answer=""),
)


def test_both_sides_of_the_split_are_every_wording():
    train, held_out = (GREETING.wordings(held_out=side) for side in (False, True))
    assert len(train) + len(held_out) == 2 * 3 * 3
    assert not set(train) & set(held_out)
    assert "Please say the word {word} !" in train + held_out
    assert "Say x !" in train + held_out


def test_a_request_and_its_input_stand_on_two_lines():
    instance = Instance(text="a,b", answer="b", slots={"item": "a"})
    assert render("What follows {item}?", instance) == "What follows a?\na,b"
    assert render("Say {item}.", Instance(text="", answer="", slots={"item": "a"})) == "Say a."


def test_the_key_tells_inputs_apart():
    plain = Instance(text="a,b", answer="x")
    assert plain.key == Instance(text="a,b", answer="y").key
    assert plain.key != Instance(text="a,b", answer="x", slots={"item": "a"}).key


def test_the_held_out_share():
    share = sum(is_held_out(f"text {i}", fraction=0.3) for i in range(5000)) / 5000
    assert share == pytest.approx(0.3, abs=0.03)


def test_words_are_split():
    words = [f"word{i}" for i in range(300)]
    train, held_out = split_words(words)
    assert sorted(train + held_out) == sorted(words)
    assert 30 < len(held_out) < 90
    with pytest.raises(DataError, match="at least 20"):
        split_words(words[:25])
