"""The occasions of the preference data."""

from llmcore.data.skills.manners import NAMES, OCCASIONS
from llmcore.data.skills.skill import is_held_out


def test_every_template_names_its_person():
    for occasion in OCCASIONS.values():
        for text in (*occasion.requests, *occasion.warm, *occasion.flat):
            assert text.count("{name}") == 1


def test_styles_are_balanced_and_disjoint():
    for occasion in OCCASIONS.values():
        assert len(occasion.warm) == len(occasion.flat) == 3
        assert not set(occasion.warm) & set(occasion.flat)


def test_wordings_are_many_and_distinct():
    for title, occasion in OCCASIONS.items():
        wordings = occasion.wordings()
        assert len(set(wordings)) == len(wordings) >= 40
        assert 3 <= sum(is_held_out(f"{title}:{w}") for w in wordings) < len(wordings) / 2


def test_names_are_distinct_on_both_sides():
    held_out = [name for name in NAMES if is_held_out(f"name:{name}")]
    assert len(set(NAMES)) == len(NAMES)
    assert 20 <= len(held_out) <= 90
