"""TOML text gives back the object it came from."""

from dataclasses import dataclass, field

import pytest

from llmcore.config import Config, from_table, from_toml, to_table, to_toml
from llmcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(Config):
    rate: float = 1e-8
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole(Config):
    size: int
    text: str = ""
    limit: float | None = None
    part: Part = field(default_factory=Part)


@pytest.mark.parametrize(
    "whole",
    [
        Whole(size=3),
        Whole(size=3, text='quotes " and\nnewline \\ é', limit=0.1 + 0.2),
        Whole(size=-1, part=Part(rate=1e300, names=("a", ""))),
    ],
)
def test_round_trip(whole: Whole):
    assert from_toml(Whole, to_toml(whole)) == whole


def test_none_is_left_out():
    assert "limit" not in to_table(Whole(size=1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("size = 1\n[part]\nrat = 2", "unknown key 'part.rat'; did you mean 'part.rate'?"),
        ("sise = 1", "unknown key 'sise'; did you mean 'size'?"),
        ("text = 'x'", "key 'size' is required"),
        ("size = ", "text must be TOML"),
        ("size = 1.5", "size must be an integer, got 1.5"),
    ],
)
def test_mistakes_are_named(text: str, words: str):
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        from_toml(Whole, text)


def test_a_prefix_leads_the_path_in_messages():
    with pytest.raises(ConfigError, match="'config.sise'"):
        from_table(Whole, {"sise": 1}, prefix="config.")
