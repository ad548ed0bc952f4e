"""`--set path=value` is typed by the field."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from llmcore.config import Config, apply_overrides, differing_paths, leaf_paths, require
from llmcore.config.overrides import parse_text
from llmcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(Config):
    rate: float = 0.5
    pair: tuple[float, float] = (0.9, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole(Config):
    low: int = 0
    high: int = 1
    mode: Literal["fast", "slow"] = "fast"
    flag: bool = False
    name: str = ""
    ids: tuple[int, ...] = ()
    limit: float | None = 2.0
    part: Part = field(default_factory=Part)

    def validate(self) -> None:
        require(self.low < self.high, "Whole: low", f"below high = {self.high}", self.low)


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("high=1_000", "high", 1000),
        ("part.rate=1e-3", "part.rate", 1e-3),
        ("part.rate = 2", "part.rate", 2.0),
        ("flag=true", "flag", True),
        ("mode=slow", "mode", "slow"),
        ("name=a=b", "name", "a=b"),
        ("name='5'", "name", "5"),
        ("name=", "name", ""),
        ("ids=4,5", "ids", (4, 5)),
        ("ids=[]", "ids", ()),
        ("part.pair=0.8, 0.9", "part.pair", (0.8, 0.9)),
    ],
)
def test_values_are_read_by_the_type_of_the_field(assignment: str, path: str, value: object):
    changed = apply_overrides(Whole(), [assignment])
    [(changed_path, _, new)] = differing_paths(Whole(), changed) or [(path, None, value)]
    assert (changed_path, new) == (path, value)
    assert type(new) is type(value)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("part.rat=1", "unknown key 'part.rat'; did you mean 'part.rate'"),
        ("part=1", "unknown key 'part'"),
        ("high=x", "high must be an integer, got 'x'"),
        ("high=1.5", "high must be an integer, got '1.5'"),
        ("flag=maybe", "flag must be true or false, got 'maybe'"),
        ("mode=medium", "mode must be one of 'fast', 'slow', got 'medium'"),
        ("part.pair=1", "part.pair must be a tuple of a number, a number, got '1'"),
        ("high", "assignment must be KEY=VALUE, got 'high'"),
        ("low=7", "low must be below high = 1, got 7"),
    ],
)
def test_mistakes_are_named(assignment: str, words: str):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(Whole(), [assignment])
    assert words in str(caught.value)


def test_all_assignments_are_made_before_the_check_and_the_last_wins():
    changed = apply_overrides(Whole(), ["low=7", "high=8", "high=9"])
    assert (changed.low, changed.high) == (7, 9)


def test_leaf_paths_are_dotted_and_in_order():
    assert list(leaf_paths(Whole))[-3:] == ["limit", "part.rate", "part.pair"]
    assert leaf_paths(Whole()) == leaf_paths(Whole)


def test_none_is_a_value_of_optional_fields_only():
    assert parse_text("none", float | None, "x") is None
    with pytest.raises(ConfigError, match="x must be a number, got 'none'"):
        parse_text("none", float, "x")
