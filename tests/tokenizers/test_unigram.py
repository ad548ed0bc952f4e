"""Unigram: the best path, draws by their probabilities, the best few, unknowns and hard texts."""

import math
import random
from collections import Counter

import numpy as np
import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError

SPACE = "\u2581"
VOCAB = {"<unk>": 0.0, "a": -1.0, "b": -1.5, "ab": -2.0, "ba": -2.2, "aba": -2.9, "bb": -2.6}


def build(
    vocab: dict[str, float], *, byte_fallback: bool = False, sentencepiece: bool = False
) -> _bindings.Unigram:
    tokens = list(vocab)
    return _bindings.Unigram.build(
        tokens, list(vocab.values()), tokens.index("<unk>"), byte_fallback, sentencepiece, []
    )


def all_paths(vocab: dict[str, float], text: str) -> list[tuple[float, list[int]]]:
    if not text:
        return [(0.0, [])]
    paths = []
    for id_, (token, score) in enumerate(vocab.items()):
        if text.startswith(token):
            rest = all_paths(vocab, text[len(token) :])
            paths += [(score + s, [id_, *ids]) for s, ids in rest]
    return sorted(paths, reverse=True)


def assert_drawn_by(weights: np.ndarray, observed: list[int], draws: int) -> None:
    """Chi-square, its tail by Wilson and Hilferty's cube root: below four standard deviations."""
    expected = weights / weights.sum() * draws
    assert sum(observed) == draws
    assert expected.min() > 5
    freedom = len(observed) - 1
    statistic = float(np.sum((np.array(observed) - expected) ** 2 / expected))
    spread = 2 / (9 * freedom)
    assert ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread) < 4


@pytest.mark.parametrize("sentencepiece", [False, True])
def test_best_path_and_nbest_are_those_of_enumeration(sentencepiece: bool) -> None:
    model = build(VOCAB, sentencepiece=sentencepiece)
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(rng.choice("ab") for _ in range(rng.randrange(1, 10)))
        want = all_paths(VOCAB, text)
        got = model.nbest(text, 50)
        assert np.allclose([s for s, _ in got], [s for s, _ in want[:50]], atol=1e-5)
        assert len({tuple(ids) for _, ids in got}) == len(got)
        scores = {tuple(ids): s for s, ids in want}
        assert all(math.isclose(scores[tuple(ids)], s, abs_tol=1e-5) for s, ids in got)
        best = tuple(model.encode(text).tolist())
        assert math.isclose(scores[best], want[0][0], abs_tol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_draws_follow_the_scores(alpha: float) -> None:
    model = build(VOCAB)
    text = "abbaba"
    paths = all_paths(VOCAB, text)
    weights = np.exp(alpha * np.array([s for s, _ in paths]))
    draws = 20_000
    counts = Counter(tuple(model.sample(text, alpha, seed).tolist()) for seed in range(draws))
    observed = [counts[tuple(ids)] for _, ids in paths]
    assert_drawn_by(weights, observed, draws)


def test_draws_from_the_best_few() -> None:
    model = build(VOCAB)
    text, alpha, draws = "abbaba", 0.7, 10_000
    best = model.nbest(text, 4)
    weights = np.exp(alpha * np.array([s for s, _ in best]))
    counts = Counter(tuple(model.sample_nbest(text, 4, alpha, seed)) for seed in range(draws))
    observed = [counts[tuple(ids)] for _, ids in best]
    assert_drawn_by(weights, observed, draws)


def test_one_seed_one_draw() -> None:
    model = build(VOCAB)
    text = "abab" * 50
    first = model.sample(text, 0.5, 7).tolist()
    assert model.sample(text, 0.5, 7).tolist() == first
    assert model.sample(text, 0.5, 8).tolist() != first
    assert model.sample(text, 1e4, 7).tolist() == model.encode(text).tolist()


def test_unknown_runs_are_fused_or_spelled() -> None:
    ids, ends = build(VOCAB).encode_with_ends("axéxbz")
    assert (ids.tolist(), ends.tolist()) == ([1, 0, 2, 0], [1, 5, 6, 7])
    spelled = VOCAB | {f"<0x{byte:02X}>": -9.0 for byte in range(256)}
    first = len(VOCAB)
    for sentencepiece in [False, True]:
        model = build(spelled, byte_fallback=True, sentencepiece=sentencepiece)
        ids, ends = model.encode_with_ends("aéb")
        assert ids.tolist() == [1, first + 0xC3, first + 0xA9, 2]
        assert ends.tolist() == [1, 2, 3, 4]


def test_words_are_remembered_only_where_that_changes_nothing() -> None:
    """One scratch for many texts gives what a new one gives for each."""
    rng = random.Random(2)
    vocab = VOCAB | {SPACE: -2.0, SPACE + "a": -2.5, SPACE + "ab": -3.2, "a" + SPACE: -3.1}
    for sentencepiece in [False, True]:
        model = build(vocab, sentencepiece=sentencepiece)
        texts = [
            "".join(rng.choice("ab" + SPACE + "x") for _ in range(rng.randrange(1, 60)))
            for _ in range(3000)
        ]
        ids, offsets = model.encode_batch(texts)
        for text, begin, end in zip(texts, offsets, offsets[1:], strict=False):
            assert ids[begin:end].tolist() == model.encode(text).tolist()


@pytest.mark.parametrize("unit", ["a", "ab", SPACE, "é", "日", "x", "\x00", "a" + SPACE])
def test_one_million_of_one_character(unit: str) -> None:
    model = build(VOCAB | {SPACE: -2.0})
    ids, ends = model.encode_with_ends(unit * 1_000_000)
    assert ends[-1] == len(unit.encode()) * 1_000_000
    assert len(ids) == len(ends)


def test_bytes_that_are_not_utf8() -> None:
    rng = random.Random(3)
    model = build(VOCAB | {"é": -3.0, SPACE: -2.0})
    for _ in range(2000):
        text = bytes(rng.choice(b"ab\xc3\xa9\xe2\x96\x81\xf0\x80\xff") for _ in range(30))
        _, ends = model.encode_with_ends(text)
        assert ends[-1] == len(text)
        assert np.all(np.diff(ends.astype(np.int64)) > 0)
        model.sample(text, 0.5, 1)
        model.nbest(text, 5)


def test_bad_vocabularies_are_refused() -> None:
    with pytest.raises(DataError, match="scores must be one for each of 2 tokens, got 1"):
        _bindings.Unigram.build(["a", "b"], [0.0], 0, False, False, [])
    with pytest.raises(DataError, match="unk_id must be below 1, got 1"):
        _bindings.Unigram.build(["a"], [0.0], 1, False, False, [])
    with pytest.raises(DataError, match="scores must be finite"):
        _bindings.Unigram.build(["a"], [math.nan], 0, False, False, [])
    with pytest.raises(ConfigError, match="types must be one for each of 1 tokens, got 2"):
        _bindings.Unigram.build(["a"], [0.0], 0, False, True, [1, 1])
    with pytest.raises(ConfigError, match=r"count must be in \[1, 1024\], got 0"):
        build(VOCAB).nbest("a", 0)


def test_many_equal_paths_do_not_slow_the_search() -> None:
    vocab = {"<unk>": 0.0, "a": -1.0, "aa": -2.0, "aaa": -3.0}
    got = build(vocab).nbest("a" * 2000, 20)
    assert len({tuple(ids) for _, ids in got}) == 20
    assert np.allclose([s for s, _ in got], -2000.0)
