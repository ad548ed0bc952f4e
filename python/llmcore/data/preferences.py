"""Preference pairs for alignment: the same message said warmly (preferred) and flatly."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

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
