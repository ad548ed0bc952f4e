"""What a skill is: a request in many wordings, an input, and the one right answer."""

import hashlib
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmcore.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One exercise. `slots` fill the braces of a phrasing; `text` is what the request is about."""

    text: str
    answer: str
    slots: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identity of the input whatever the wording: used to keep held-out inputs apart."""
        return "\x1f".join([self.text, *(f"{k}={v}" for k, v in sorted(self.slots.items()))])


@dataclass(frozen=True, kw_only=True, slots=True)
class Skill:
    """A task with one right answer per input.

    `phrasing` lists alternatives for each part of the request; a wording is one choice per part,
    so that a few dozen fragments make hundreds of wordings. `make` draws one instance from words.
    """

    name: str
    hard: bool
    phrasing: tuple[tuple[str, ...], ...]
    make: Callable[[random.Random, Sequence[str]], Instance]

    def wordings(self, *, held_out: bool) -> list[str]:
        """Every wording of one side of the split; the side is a property of the text alone."""
        every = (_sentence(parts) for parts in itertools.product(*self.phrasing))
        return [w for w in dict.fromkeys(every) if is_held_out(f"{self.name}:{w}") == held_out]


def render(wording: str, instance: Instance) -> str:
    """The user's message: the request, then the input on a line of its own."""
    request = wording.format(**instance.slots)
    return f"{request}\n{instance.text}" if instance.text else request


def is_held_out(text: str, *, fraction: float = 0.2) -> bool:
    """True for a fixed pseudo-random `fraction` of all texts, the same on every machine."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def split_words(words: Sequence[str], *, min_words: int = 20) -> tuple[list[str], list[str]]:
    """Split words into those seen in training and those kept for evaluation.

    Raises:
        DataError: fewer than `min_words` on either side.
    """
    train = [w for w in words if not is_held_out(f"word:{w}")]
    held_out = [w for w in words if is_held_out(f"word:{w}")]
    if min(len(train), len(held_out)) < min_words:
        raise DataError(
            f"split_words: words must be at least {min_words} on each side of the split, "
            f"got {len(train)} and {len(held_out)}"
        )
    return train, held_out


def _sentence(parts: tuple[str, ...]) -> str:
    text = " ".join(part for part in parts if part)
    return text[:1].upper() + text[1:]
