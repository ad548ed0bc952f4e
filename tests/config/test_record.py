"""A Config that exists is valid."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest

from llmcore.config import Config, require
from llmcore.config.record import coerce, describe, field_types, nested_config
from llmcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner(Config):
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer(Config):
    count: int
    mode: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.9, 0.95)
    ids: tuple[int, ...] = ()
    inner: Inner = dataclasses.field(default_factory=Inner)
    limit: float | None = None

    def validate(self) -> None:
        require(self.count > 0, "Outer: count", "above 0", self.count)


def test_it_is_frozen_and_has_no_dict():
    outer = Outer(count=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        outer.count = 2
    assert "__dict__" not in dir(outer)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("count", "3", "count must be an integer, got '3'"),
        ("count", True, "count must be an integer, got True"),
        ("count", 2.0, "count must be an integer, got 2.0"),
        ("count", 0, "count must be above 0, got 0"),
        ("mode", "c", "mode must be one of 'a', 'b', got 'c'"),
        ("pair", (1.0,), "pair must be a tuple of a number, a number, got"),
        ("ids", ("x",), "ids must be an integer, got 'x'"),
        ("inner", 3, "inner must be a Inner table, got 3"),
        ("limit", "low", "limit must be a number or none, got 'low'"),
    ],
)
def test_wrong_values_are_refused_with_one_line(field: str, value: object, words: str):
    with pytest.raises(ConfigError) as caught:
        Outer(**{"count": 1, field: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_take_their_declared_type():
    assert coerce([1, 2], tuple[int, ...], "ids") == (1, 2)
    number = coerce(1, float, "rate")
    assert number == 1.0 and isinstance(number, float)
    assert coerce(None, float | None, "limit") is None


def test_types_are_told_in_words_and_found():
    assert describe(bool) == "true or false"
    assert describe(float | None) == "a number or none"
    assert nested_config(Inner | None) is Inner
    assert nested_config(int) is None
    assert list(field_types(Inner)) == ["rate"]


def test_a_field_type_that_no_config_may_have_is_a_bug():
    with pytest.raises(TypeError, match="not a type that Config fields can have"):
        coerce(3, bytes, "blob")
