"""The vectorised 3-gram models against dictionaries, and as probability distributions."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from llmcore.errors import DataError
from llmcore.evals.ngram import (
    TrigramCounts,
    Trigrams,
    jelinek_mercer_bits,
    kneser_ney_bits,
    ngram_baseline,
)

VOCAB = 5


def documents(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    bodies = (rng.choice(VOCAB, size=30, p=[0.0, 0.5, 0.3, 0.15, 0.05]) for _ in range(count))
    return [np.concatenate([[0], body, [0]]) for body in bodies]


TRAIN, HELD_OUT = documents(0, 12), documents(1, 3)


def triples(docs) -> list[tuple[int, int, int]]:
    padded = [[VOCAB, *map(int, d)] for d in docs]
    return [(d[i - 2], d[i - 1], d[i]) for d in padded for i in range(2, len(d))]


def kneser_ney(triple: tuple[int, int, int], discounts: tuple[float, float, float]) -> float:
    """Interpolated Kneser-Ney by the book."""
    d1, d2, d3 = discounts
    u, v, w = triple
    trained = triples(TRAIN)
    counts = Counter(trained)
    pairs = {(b, c) for _, b, c in trained}
    left = Counter((b, c) for _, b, c in counts)
    kinds = {c for _, c in pairs}
    p1 = (max(sum(c == w for _, c in pairs) - d1, 0) + d1 * len(kinds) / VOCAB) / len(pairs)
    total2 = sum(n for (b, _), n in left.items() if b == v)
    p2 = p1
    if total2:
        followers = sum(b == v for b, _ in left)
        p2 = (max(left[v, w] - d2, 0) + d2 * followers * p1) / total2
    total3 = sum(n for (a, b, _), n in counts.items() if (a, b) == (u, v))
    if not total3:
        return p2
    followers = sum((a, b) == (u, v) for a, b, _ in counts)
    return (max(counts[u, v, w] - d3, 0) + d3 * followers * p2) / total3


def test_kneser_ney_equals_the_dictionaries():
    discounts = (0.5, 0.7, 0.9)
    counts = TrigramCounts(Trigrams.of(TRAIN, VOCAB), VOCAB)
    grams = counts.lookup(Trigrams.of(HELD_OUT, VOCAB))
    bits = kneser_ney_bits(counts, grams, discounts=discounts)
    expected = -sum(math.log2(kneser_ney(t, discounts)) for t in triples(HELD_OUT))
    assert bits == pytest.approx(expected, rel=1e-12)


def every_next(before: int, previous: int) -> Trigrams:
    token = np.arange(VOCAB)
    return Trigrams(np.full(VOCAB, before), np.full(VOCAB, previous), token)


@pytest.mark.parametrize("context", [(1, 2), (VOCAB, 0), (4, 4), (0, 3)])
def test_probabilities_sum_to_one(context):
    counts = TrigramCounts(Trigrams.of(TRAIN, VOCAB), VOCAB)
    tuning = counts.lookup(Trigrams.of(HELD_OUT, VOCAB))
    total_kn = total_jm = 0.0
    grams = every_next(*context)
    for i in range(VOCAB):
        one = counts.lookup(
            Trigrams(grams.before[i : i + 1], grams.previous[i : i + 1], grams.token[i : i + 1])
        )
        total_kn += 2 ** -kneser_ney_bits(counts, one, discounts=(0.5, 0.6, 0.7))
        total_jm += 2 ** -jelinek_mercer_bits(
            counts, tuning, one, tuning_total=int(counts.unigram.sum())
        )
    assert total_kn == pytest.approx(1.0, abs=1e-9)
    seen = {(a, b) for a, b, _ in triples(TRAIN)}
    if context in seen:  # an unseen context leaves its share of Jelinek-Mercer unused
        assert total_jm == pytest.approx(1.0, abs=1e-9)


def test_counts_equal_the_dictionaries():
    counts = TrigramCounts(Trigrams.of(TRAIN, VOCAB), VOCAB)
    grams = counts.lookup(Trigrams.of(HELD_OUT, VOCAB))
    trained = Counter(triples(TRAIN))
    contexts: dict[tuple[int, int], int] = defaultdict(int)
    for (a, b, _), n in trained.items():
        contexts[a, b] += n
    assert grams.triple.tolist() == [trained[t] for t in triples(HELD_OUT)]
    assert grams.context2.tolist() == [contexts[a, b] for a, b, _ in triples(HELD_OUT)]


def test_a_predictable_text_costs_next_to_nothing():
    cycle = np.concatenate([[0], np.tile([1, 2, 3, 4], 200), [0]])
    result = ngram_baseline([cycle] * 4, [cycle], vocab_size=VOCAB)
    assert result.num_tokens == 801
    assert result.best_bits / result.num_tokens < 0.05
    assert result.best_bits == min(result.jelinek_mercer_bits, result.kneser_ney_bits)


def test_it_beats_the_unigram():
    rng = np.random.default_rng(2)
    chain = [0]
    for _ in range(4000):
        chain.append(int((chain[-1] + rng.choice([1, 1, 1, 2])) % VOCAB))
    parts = [np.array([0, *chain[i : i + 400], 0]) for i in range(0, 4000, 400)]
    result = ngram_baseline(parts[:9], parts[9:], vocab_size=VOCAB)
    assert result.best_bits / result.num_tokens < 1.0 < math.log2(VOCAB)


def test_too_little_text_is_refused():
    with pytest.raises(DataError, match="at least 2"):
        ngram_baseline(TRAIN[:1], HELD_OUT, vocab_size=VOCAB)
    with pytest.raises(DataError, match="at least one token"):
        Trigrams.of([np.array([0])], VOCAB)
