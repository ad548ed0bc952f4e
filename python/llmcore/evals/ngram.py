"""Count-based 3-gram baselines: what a model must beat before its loss means anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmcore.errors import DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_EM_ROUNDS: Final = 40
_DISCOUNTS: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Trigrams:
    """Every token of a set of documents with the two tokens before it.

    The first token of a document, its separator, is context and never a target. A document's
    second token has only one token before it; the missing one is `vocab_size`.
    """

    before: Ints
    previous: Ints
    token: Ints

    @staticmethod
    def of(documents: Sequence[Ints], vocab_size: int) -> "Trigrams":
        """Collect the trigrams of documents, each an array that starts with the separator."""
        parts = [d.astype(np.int64) for d in documents if len(d) > 1]
        if not parts:
            raise DataError("ngram: documents must hold at least one token, got none")
        start = np.array([vocab_size], dtype=np.int64)
        return Trigrams(
            np.concatenate([np.concatenate([start, d[:-2]]) for d in parts]),
            np.concatenate([d[:-1] for d in parts]),
            np.concatenate([d[1:] for d in parts]),
        )


class TrigramCounts:
    """Sorted count tables of all 1-, 2- and 3-grams of the training tokens."""

    def __init__(self, grams: Trigrams, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        size = self._base = vocab_size + 1
        pairs = grams.previous * size + grams.token
        triples = (grams.before * size + grams.previous) * size + grams.token
        self.unigram = np.bincount(grams.token, minlength=vocab_size)
        self.pair_keys, self.pair_counts = np.unique(pairs, return_counts=True)
        self.triple_keys, self.triple_counts = np.unique(triples, return_counts=True)
        self.context1 = np.bincount(grams.previous, minlength=size)
        self.context2_keys, starts = np.unique(self.triple_keys // size, return_index=True)
        self.context2 = np.add.reduceat(self.triple_counts, starts)
        self.followers2 = np.diff(np.append(starts, len(self.triple_keys)))
        # Kneser-Ney's lower orders count distinct left neighbours instead of occurrences.
        self.left_pair_keys, self.left_pairs = np.unique(
            self.triple_keys % (size * size), return_counts=True
        )
        owner = self.left_pair_keys // size
        left = np.bincount(owner, weights=self.left_pairs, minlength=size)
        self.left_context1 = left.astype(np.int64)
        self.followers1 = np.bincount(owner, minlength=size)
        self.left_unigram = np.bincount(self.pair_keys % size, minlength=vocab_size)[:vocab_size]

    def lookup(self, grams: Trigrams) -> "TrigramLookup":
        """Counts of each given trigram and of its contexts."""
        size = self._base
        pair = grams.previous * size + grams.token
        triple = (grams.before * size + grams.previous) * size + grams.token
        context = grams.before * size + grams.previous
        return TrigramLookup(
            unigram=self.unigram[grams.token],
            pair=_find(self.pair_keys, self.pair_counts, pair),
            triple=_find(self.triple_keys, self.triple_counts, triple),
            context1=self.context1[grams.previous],
            context2=_find(self.context2_keys, self.context2, context),
            followers1=self.followers1[grams.previous],
            followers2=_find(self.context2_keys, self.followers2, context),
            left_unigram=self.left_unigram[grams.token],
            left_pair=_find(self.left_pair_keys, self.left_pairs, pair),
            left_context1=self.left_context1[grams.previous],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrigramLookup:
    """Counts per target; `left_*` count distinct left neighbours."""

    unigram: Ints
    pair: Ints
    triple: Ints
    context1: Ints
    context2: Ints
    followers1: Ints
    followers2: Ints
    left_unigram: Ints
    left_pair: Ints
    left_context1: Ints


def jelinek_mercer_bits(
    counts: TrigramCounts, tuning: TrigramLookup, grams: TrigramLookup, *, tuning_total: int
) -> float:
    r"""Bits of the targets in `grams` under a linearly interpolated 3-gram.

        p(w | u, v) = l3 c(uvw)/c(uv) + l2 c(vw)/c(v) + l1 c(w)/N + l0/V

    The weights depend on how often the contexts were seen, and are fitted by expectation
    maximisation on `tuning`, looked up in counts of `tuning_total` tokens that do not contain it.

    Source: Jelinek & Mercer 1980; count buckets as in Chen & Goodman 1999, section 2.3.
    """
    weights = _fit_weights(_components(tuning, counts.vocab_size, tuning_total), _bucket(tuning))
    parts = _components(grams, counts.vocab_size, int(counts.unigram.sum()))
    probability = (weights[_bucket(grams)] * parts).sum(axis=1)
    return float(-np.log2(probability).sum())


def kneser_ney_bits(
    counts: TrigramCounts, grams: TrigramLookup, *, discounts: tuple[float, float, float]
) -> float:
    r"""Bits of the targets in `grams` under an interpolated Kneser-Ney 3-gram.

        p3 = (max(c(uvw) - d3, 0) + d3 n(uv.) p2) / c(uv),   likewise p2 and p1 on distinct
        left neighbours; p0 = 1/V. An unseen context passes on to the next lower order.

    Args:
        counts: Training counts.
        grams: Targets, looked up in `counts`.
        discounts: d1, d2, d3.

    Source: Kneser & Ney 1995; Chen & Goodman 1999, section 2.7.
    """
    d1, d2, d3 = discounts
    total, kinds = counts.left_unigram.sum(), (counts.left_unigram > 0).sum()
    p1 = (np.maximum(grams.left_unigram - d1, 0) + d1 * kinds / counts.vocab_size) / total
    p2 = _discounted(grams.left_pair, grams.left_context1, grams.followers1, d2, p1)
    p3 = _discounted(grams.triple, grams.context2, grams.followers2, d3, p2)
    return float(-np.log2(p3).sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramResult:
    """Bits of the same held-out tokens under two 3-gram models."""

    jelinek_mercer_bits: float
    kneser_ney_bits: float
    num_tokens: int

    @property
    def best_bits(self) -> float:
        """The stronger baseline."""
        return min(self.jelinek_mercer_bits, self.kneser_ney_bits)


def ngram_baseline(
    train: Sequence[Ints], held_out: Sequence[Ints], *, vocab_size: int, tuning_share: float = 0.1
) -> NgramResult:
    """Train 3-gram models on all of `train` and measure them on `held_out`.

    Interpolation weights and discounts are chosen on the last `tuning_share` of the training
    documents, counted on the rest; the counts used on `held_out` are of all training documents.

    Args:
        train: Token ids per document, each starting with the separator.
        held_out: As `train`; read once, at the end.
        vocab_size: Ids are below this.
        tuning_share: Part of the training documents that tunes, in (0, 1).

    Raises:
        DataError: fewer than two training documents.
    """
    if len(train) < 2:
        raise DataError(f"ngram: train must hold at least 2 documents, got {len(train)}")
    cut = min(len(train) - 1, max(1, round(len(train) * (1 - tuning_share))))
    part = TrigramCounts(Trigrams.of(train[:cut], vocab_size), vocab_size)
    tuning = part.lookup(Trigrams.of(train[cut:], vocab_size))
    discounts = min(
        ((0.5, d2, d3) for d2 in _DISCOUNTS for d3 in _DISCOUNTS),
        key=lambda d: kneser_ney_bits(part, tuning, discounts=d),
    )
    counts = TrigramCounts(Trigrams.of(train, vocab_size), vocab_size)
    grams = counts.lookup(Trigrams.of(held_out, vocab_size))
    return NgramResult(
        jelinek_mercer_bits=jelinek_mercer_bits(
            counts, tuning, grams, tuning_total=int(part.unigram.sum())
        ),
        kneser_ney_bits=kneser_ney_bits(counts, grams, discounts=discounts),
        num_tokens=len(grams.pair),
    )


def _find(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _discounted(
    count: Ints, context: Ints, followers: Ints, discount: float, lower: Floats
) -> Floats:
    kept = np.maximum(count - discount, 0) + discount * followers * lower
    return np.where(context > 0, kept / np.maximum(context, 1), lower)


def _components(grams: TrigramLookup, vocab_size: int, total: int) -> Floats:
    return np.stack(
        [
            np.full(len(grams.pair), 1 / vocab_size),
            grams.unigram / total,
            grams.pair / np.maximum(grams.context1, 1),
            grams.triple / np.maximum(grams.context2, 1),
        ],
        axis=1,
    )


def _bucket(grams: TrigramLookup) -> Ints:
    two = np.minimum(_log_bin(grams.context2), 11)
    one = np.minimum(_log_bin(grams.context1) // 4, 3)
    return two * 4 + one


def _log_bin(count: Ints) -> Ints:
    return np.where(count > 0, 1 + np.log2(np.maximum(count, 1)).astype(np.int64), 0)


def _fit_weights(parts: Floats, bucket: Ints) -> Floats:
    num_buckets = 48
    weights = np.full((num_buckets, 4), 0.25)
    for _ in range(_EM_ROUNDS):
        share = weights[bucket] * parts
        share /= share.sum(axis=1, keepdims=True)
        totals = np.stack(
            [np.bincount(bucket, weights=share[:, k], minlength=num_buckets) for k in range(4)],
            axis=1,
        )
        # A bucket that tuning never saw falls back on a flat mixture, a rare one leans on it.
        weights = totals + 0.01
        weights /= weights.sum(axis=1, keepdims=True)
    return weights
