"""What Unigram training computes, by enumeration: for words of a few characters."""

import math
from collections import Counter
from collections.abc import Iterator


def seeds_by_definition(words: dict[str, int], longest: int) -> dict[str, int]:
    """Characters, and the substrings with two continuations or that are a repeated word."""
    counts: Counter[str] = Counter()
    following: dict[str, set[object]] = {}
    for word, count in words.items():
        for i in range(len(word)):
            for j in range(i + 1, min(len(word), i + longest) + 1):
                piece = word[i:j]
                counts[piece] += count
                next_one = word[j] if j < len(word) else (word, i)
                following.setdefault(piece, set()).add(next_one)
    return {
        piece: count * len(piece)
        for piece, count in counts.items()
        if len(piece) == 1 or len(following[piece]) > 1 or (piece in words and words[piece] > 1)
    }


def paths(word: str, pieces: dict[str, float]) -> Iterator[list[str]]:
    if not word:
        yield []
    for j in range(1, len(word) + 1):
        if word[:j] in pieces:
            for rest in paths(word[j:], pieces):
                yield [word[:j], *rest]


def digamma(x: float) -> float:
    """From its recurrence and an asymptotic series other than the one under test."""
    result = 0.0
    while x < 30:
        result -= 1 / x
        x += 1
    return result + math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4)


def expected_uses(words: dict[str, int], scores: dict[str, float]) -> dict[str, float]:
    """Expectation: how often each piece is used, over all paths of all words."""
    expected: dict[str, float] = {}
    for word, count in words.items():
        found = [(math.exp(sum(scores[p] for p in path)), path) for path in paths(word, scores)]
        total = sum(weight for weight, _ in found)
        for weight, path in found:
            for piece in path:
                expected[piece] = expected.get(piece, 0.0) + count * weight / total
    return expected
