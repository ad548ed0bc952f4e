"""The limits themselves: what each hook refuses before it is built."""

import time
from typing import Any

import pytest

from llmcore.tokenizers.template_limits import (
    MAX_BITS,
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_ODD_CHARS,
    Limits,
    TooMuchError,
)

MAX_CHARS = 1000


@pytest.fixture
def limits() -> Limits:
    return Limits(MAX_CHARS, 60.0)


def test_time_is_up_after_its_seconds() -> None:
    limits = Limits(MAX_CHARS, 0.01)
    limits.check_time()
    time.sleep(0.02)
    for look in (limits.check_time, lambda: limits.checked(1), lambda: limits.join([])):
        with pytest.raises(TooMuchError, match="take more than 0.01 seconds"):
            look()
    with pytest.raises(TooMuchError, match="seconds"):
        list(limits.count([1]))


def test_sizes_count_what_is_held_as_often_as_it_is_held(limits: Limits) -> None:
    assert limits.size_of(7) == 1
    assert limits.size_of("abc") == 4
    assert limits.size_of(["ab", {"k": ("v",)}]) == 1 + 3 + 1 + 2 + 1 + 2
    held: Any = "x" * 100
    for _ in range(5):
        held = [held, held]
    with pytest.raises(TooMuchError, match="texts of more than 1000 characters"):
        limits.size_of(held)
    with pytest.raises(TooMuchError, match=f"lists of more than {MAX_ITEMS} items"):
        limits.size_of([0] * (MAX_ITEMS + 1))


def test_checked_gives_its_value_back(limits: Limits) -> None:
    for value in (1, None, "a", [1], {"a": 1}):
        assert limits.checked(value) is value
    with pytest.raises(TooMuchError):
        limits.checked("x" * 1001)


def test_loops_see_every_item_and_their_length(limits: Limits) -> None:
    counted = limits.count([1, 2, 3])
    assert len(counted) == 3 and list(counted) == [1, 2, 3]


def test_joins(limits: Limits) -> None:
    assert limits.join(["a", "b"]) == "ab"
    assert limits.join_values(["a", 1, None, True]) == "a1NoneTrue"
    with pytest.raises(TooMuchError):
        limits.join(["x" * 600] * 2)
    with pytest.raises(TooMuchError):
        limits.join_values(["x" * 600] * 2)


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [
        ("+", "x" * 600, "x" * 600),
        ("+", ["x" * 600], ["x" * 600]),
        ("*", "ab", 501),
        ("*", 501, b"ab"),
        ("*", [1], 1001),
        ("*", 2**MAX_BITS, 2),
        ("**", 2, MAX_BITS),
        ("**", 2, 2**MAX_BITS * 2),
        ("%", "%1001d", 1),
        ("%", "%*d", (MAX_NUMBER + 1, 1)),
        ("%", "%s%s", "x" * 600),
    ],
    ids=[*map(str, range(11))],
)
def test_operands_that_would_make_too_much(
    operator: str, left: Any, right: Any, limits: Limits
) -> None:
    with pytest.raises(TooMuchError):
        limits.check_operands(operator, left, right)


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [
        ("+", 10**400, 1),
        ("+", "ab", "cd"),
        ("*", "ab", -(10**9)),
        ("*", 1.5, 10**9),
        ("*", 12345, 67890),
        ("**", 2, 64),
        ("%", "%s is %5d", ("x", 3)),
        ("%", 7, 4),
        ("/", 1, 0),
    ],
)
def test_ordinary_operands_pass(operator: str, left: Any, right: Any, limits: Limits) -> None:
    limits.check_operands(operator, left, right)


@pytest.mark.parametrize(
    ("name", "subject", "args"),
    [
        ("center", "a", (MAX_NUMBER + 1,)),
        ("replace", "a" * 100, ("a", "b" * 100)),
        ("join", ["a"] * 100, ("-" * 100,)),
        ("join", "-" * 100, (["a"] * 100,)),
        ("format", "{:1001}", (1,)),
        ("format", "{:{}}", (1, 10**7)),
        ("format", "{:{}}", (1, "9999999")),
        ("format_map", "{a}{a}", ({"a": "x" * 600},)),
        ("indent", "\n" * 100, (100,)),
        ("expandtabs", "\t" * 100, (100,)),
        ("translate", "a" * 100, ({97: "b" * 100},)),
        ("tojson", ["a"] * 100, (100,)),
        ("sum", [[1]], ([],)),
    ],
)
def test_arguments_that_would_make_too_much(
    name: str, subject: Any, args: tuple[Any, ...], limits: Limits
) -> None:
    with pytest.raises(TooMuchError):
        limits.check_arguments(name, subject, args, {})
    names = {f"name{i}": value for i, value in enumerate(args)}
    with pytest.raises(TooMuchError):
        limits.check_arguments(name, subject, (), names)


def test_filters_that_may_take_quadratic_time_have_a_bound_of_their_own() -> None:
    limits = Limits(10 * MAX_ODD_CHARS, 60.0)
    limits.check_arguments("title", "x" * 1000, (), {})
    with pytest.raises(TooMuchError, match=f"use title on more than {MAX_ODD_CHARS}"):
        limits.check_arguments("title", "x" * MAX_ODD_CHARS, (), {})


@pytest.mark.parametrize(
    ("name", "subject", "args"),
    [
        ("replace", "a" * 100, ("a", "b")),
        ("join", ["a", "b"], (", ",)),
        ("format", "{:>8}|{}", ("x", 1)),
        ("format", "%s {{}}", ("x",)),
        ("indent", "a\nb", (4,)),
        ("tojson", {"a": [1, 2]}, (4,)),
        ("sum", [1, 2], ()),
        ("upper", "abc", ()),
    ],
)
def test_ordinary_arguments_pass(
    name: str, subject: Any, args: tuple[Any, ...], limits: Limits
) -> None:
    limits.check_arguments(name, subject, args, {})
