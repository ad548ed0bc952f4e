"""The linear-time engine for split patterns."""

import re
import time

import pytest

from llmcore._bindings import Regex, known_pattern_text, split_known
from llmcore.errors import DataError


def spans(pattern: str, text: str, *, oniguruma: bool = True) -> list[tuple[int, int]]:
    found = Regex(pattern, oniguruma=oniguruma).find_all(text)
    return [(a, b) for a, b in found.reshape(-1, 2).tolist()]


@pytest.mark.parametrize(
    "pattern",
    [
        *("a|ab", "ab|a", "(a|ab)(c|bcd)", "a*?b", "a{2,3}", "a{2,3}?b?", "(?:ab?)+", "[^ab]+"),
        *(
            r"\s+(?!\S)|\s+",
            r"\w+|[^\w\s]+",
            r"\bab\b",
            r"(?<=a)b",
            r"(?<!a)b",
            "a?",
            "(?=b)",
            "x*",
        ),
        *("(?i:AB)+", "(?:a|b)*?c", "a+b|a", "(?:a+b)+|a|b", "[ac]"),
    ],
)
def test_matches_as_backtracking_would(pattern: str) -> None:
    for text in ("", "a", "abcd", "aab ab  abc", "aaaa", "  a  b ", "ABab", "cabbbac", "aaabaaa"):
        want = [m.span() for m in re.finditer(pattern, text)]
        # Theirs lists an empty match right after another one.
        ends = {b for a, b in want if a < b}
        want = [(a, b) for a, b in want if a < b or a not in ends]
        assert spans(pattern, text) == want, (pattern, text)


def test_flavors_differ() -> None:
    assert spans("^b$", "a\nb\nc") == [(2, 3)]
    assert spans("^b$", "a\nb\nc", oniguruma=False) == []
    assert spans("(?m)^b$", "a\nb\nc", oniguruma=False) == [(2, 3)]
    # Oniguruma reads X{1,3}+ as (?:X{1,3})+.
    assert spans(r"\d{1,3}+", "12345") == [(0, 5)]
    assert spans(r"\d{1,3}+", "12345", oniguruma=False) == [(0, 3), (3, 5)]


def test_possessive_quantifiers_give_nothing_back() -> None:
    assert spans("a++a", "aaa") == []
    assert spans("[ab]?+b", "abb") == [(0, 2)]
    assert spans("[ab]*+b|a", "ab") == [(0, 1)]
    assert spans("a{1,2}+a", "aaaa", oniguruma=False) == [(0, 3)]
    assert spans("(?>a+)b", "aab") == [(0, 3)]


def test_classes() -> None:
    assert spans(r"[\p{L}&&[^\p{Han}]]+", "ab日本c") == [(0, 2), (8, 9)]
    assert spans(r"[[:digit:]]+", "a12") == [(1, 3)]
    assert spans(r"[^\x41-\x{43}é]", "ABCDé") == [(3, 4)]
    assert spans("[]a]", "]") == [(0, 1)]


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "llama3", "qwen2", "o200k_base"])
def test_known_patterns_match_their_scanners(name: str) -> None:
    regex = Regex(known_pattern_text(name), oniguruma=False)
    assert regex.has_table
    text = "Hello  World's 12345 foo_bar();\n\n\tif (x) {\r\n 日本語。 \u3000 don'T 'll\n  "
    for start in range(len(text)):
        part = text[start:]
        assert regex.find_all(part).tolist() == split_known(name, part).tolist()


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"(a)\1", r"the escape '\\1' at byte 5"),
        ("(?=ab)", "a look-around of more than one character"),
        ("(?:ab)++", "a possessive quantifier on more than one character"),
        ("(a", "a group without '\\)'"),
        ("a)", "an unmatched '\\)'"),
        ("[a", "a class without ']'"),
        ("*a", "a quantifier with nothing to repeat"),
        (r"\p{Nope}", 'the unknown property "Nope"'),
        ("a{2000}", "a count above 1000"),
        ("[z-a]", "a range whose first"),
        ("(?x:a)", 'the flag or group "x"'),
        ("(" * 200 + ")" * 200, "more than 100 nested groups"),
        ("[" * 200, "more than 100 nested classes"),
        ("\\", "the end of the pattern"),
    ],
)
def test_errors_name_what_is_unsupported(pattern: str, what: str) -> None:
    with pytest.raises(
        DataError, match=f"pattern: must be a supported regular expression, got {what}"
    ):
        Regex(pattern)


def test_programs_are_bounded() -> None:
    with pytest.raises(DataError, match="must need at most 5000 instructions"):
        Regex("(?:(?:a{100}){100}){100}")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?:a|aa)+b|a", "a"),
        ("a+b|a", "a"),
        ("(?:a*)*b|a", "a"),
        ("[ab]*a[ab]{9}c|[ab]", "ab"),
        (r"\s+$|\s", " \n"),
        (r"(?:\w+\s)*!|\w", "ab "),
        (r"\bx\b|(?:日本)+x|日", "日本"),
    ],
)
def test_time_is_linear_in_the_text(pattern: str, text: str) -> None:
    """A quadratic engine would take hours for the second text."""
    regex = Regex(pattern)
    start = time.monotonic()
    found = regex.find_all(text * (200_000 // len(text)))
    assert len(found) >= 2
    assert time.monotonic() - start < 30


def test_a_machine_too_large_for_a_table_still_matches() -> None:
    pattern = "[ab]*a[ab]{14}c|[ab]"
    regex = Regex(pattern)
    assert not regex.has_table
    text = "abbabaabbbabababaabbc" * 40
    want = [bound for m in re.finditer(pattern, text) for bound in m.span()]
    assert regex.find_all(text).tolist() == want
