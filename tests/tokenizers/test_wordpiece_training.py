"""WordPiece training: both scores by their definition, alphabet, limits, the tokenizer made."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore._bindings import TokenizerSpec, WordCounter
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer, WordCounts
from llmcore.tokenizers.wordpiece_training import (
    WordPieceExtension,
    extend_wordpiece,
    train_wordpiece,
)

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def counter_of(words: dict[str, int]) -> WordCounter:
    counter = WordCounter(1)
    for word, count in words.items():
        counter.add(word.encode(), count)
    return counter


def tokens_of(spec: TokenizerSpec) -> list[str]:
    tokens: list[str] = spec.to_dict()["tokens"]
    return tokens


def by_definition(words: dict[str, int], size: int, score: str, least: int) -> list[str]:
    """Count every token and pair anew before every merge."""
    tokens = ["[UNK]", *sorted(set("".join(words)))]
    tokens += sorted({"##" + c for word in words for c in word[1:]})
    split = {word: [word[0]] + ["##" + c for c in word[1:]] for word in words}
    return merged_by_definition(tokens, words, split, size, score, least)


def merged_by_definition(
    tokens: list[str],
    words: dict[str, int],
    split: dict[str, list[str]],
    size: int,
    score: str,
    least: int,
    longest: int | None = None,
) -> list[str]:
    tokens = list(tokens)
    ids = {token: i for i, token in enumerate(tokens)}

    def length(pair: tuple[str, str]) -> int:
        return sum(len(token.removeprefix("##")) for token in pair)

    while len(tokens) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        single: Counter[str] = Counter()
        for word, count in words.items():
            single.update({t: count * n for t, n in Counter(split[word]).items()})
            for pair in zip(split[word], split[word][1:], strict=False):
                pairs[pair] += count

        def rank(pair: tuple[str, str]) -> tuple[float, int, int, int]:
            value = float(pairs[pair])  # noqa: B023
            if score == "likelihood":
                value /= float(single[pair[0]]) * float(single[pair[1]])  # noqa: B023
            return value, pairs[pair], -ids[pair[0]], -ids[pair[1]]  # noqa: B023

        allowed = [
            pair
            for pair in pairs
            if pairs[pair] >= max(least, 1)
            and (longest is None or length(pair) == 2 or length(pair) < longest)
        ]
        if not allowed:
            break
        best = max(allowed, key=rank)
        merged = best[0] + best[1].removeprefix("##")
        if merged not in ids:
            ids[merged] = len(tokens)
            tokens.append(merged)
        for symbols in split.values():
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = [merged]
                i += 1
    return tokens


@given(
    words=st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 9), min_size=1),
    score=st.sampled_from(["count", "likelihood"]),
    least=st.integers(0, 4),
)
@settings(max_examples=300, deadline=None)
def test_both_scores_follow_their_definition(words: dict[str, int], score: str, least: int) -> None:
    got = train_wordpiece(
        counter_of(words), vocab_size=20, score=score, min_frequency=least, special_tokens=["[UNK]"]
    )
    assert tokens_of(got) == by_definition(words, 20, score, least)


def greedy(word: str, tokens: set[str]) -> list[str]:
    """The longest token first; nothing for a word that cannot be spelled."""
    found: list[str] = []
    while word:
        prefix = "##" if found else ""
        sizes = [n for n in range(1, len(word) + 1) if prefix + word[:n] in tokens]
        if not sizes:
            return []
        found.append(prefix + word[: max(sizes)])
        word = word[max(sizes) :]
    return found


def extended_by_definition(
    tokens: list[str],
    words: dict[str, int],
    size: int,
    score: str,
    *,
    least: int = 0,
    longest: int | None = None,
    alphabet: int | None = None,
) -> list[str]:
    """New characters by falling count, then pairs from the encoder's cut of every word."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        counts.update({c: count * n for c, n in Counter(word).items()})
    inside = {c for word in words for c in word[1:]}
    lacking = [
        c
        for c in sorted(counts, key=lambda c: (-counts[c], c))
        if c not in tokens or (c in inside and "##" + c not in tokens)
    ][:alphabet]
    tokens = tokens + [c for c in lacking if c not in tokens]
    tokens += ["##" + c for c in lacking if c in inside and "##" + c not in tokens]
    split = {word: greedy(word, set(tokens)) for word in words}
    return merged_by_definition(tokens, words, split, size, score, least, longest)


def extend(spec: TokenizerSpec, words: dict[str, int], **options: Any) -> TokenizerSpec:
    def count() -> WordCounts:
        counts = WordCounts()
        for word, times in words.items():
            counts.native.add(word.encode(), times)
        return counts

    return extend_wordpiece(spec, count, WordPieceExtension(**options))


WORDS = st.dictionaries(st.text("abcd", min_size=1, max_size=9), st.integers(1, 9), min_size=1)


@given(
    old=st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 9), min_size=1),
    new=WORDS,
    size=st.integers(1, 14),
    score=st.sampled_from(["count", "likelihood"]),
    least=st.integers(0, 4),
    longest=st.sampled_from([None, 1, 3, 5]),
    alphabet=st.sampled_from([None, 0, 1]),
)
@settings(max_examples=400, deadline=None)
def test_extending_follows_its_definition(
    old: dict[str, int],
    new: dict[str, int],
    size: int,
    score: str,
    least: int,
    longest: int | None,
    alphabet: int | None,
) -> None:
    spec = train_wordpiece(counter_of(old), vocab_size=size, special_tokens=["[UNK]"])
    tokens = tokens_of(spec)
    size = len(tokens) + 2 * 4 + size
    got = extend(
        spec,
        new,
        vocab_size=size,
        score=score,
        min_frequency=least,
        max_token_length=longest,
        limit_alphabet=alphabet,
    )
    assert tokens_of(got) == extended_by_definition(
        tokens, new, size, score, least=least, longest=longest, alphabet=alphabet
    )
    assert tokens_of(got)[: len(tokens)] == tokens


def test_words_that_are_too_long_or_hold_an_added_token_teach_nothing_across_it() -> None:
    spec = train_wordpiece(counter_of({"ab": 1}), vocab_size=4, special_tokens=["[UNK]", "ab"])
    more = extend(spec, {"abab": 9, "z" * 101: 99}, vocab_size=12)
    # "ab" is added: the cut is ab ##a ##b, and only what follows it joins.
    assert tokens_of(more) == [*tokens_of(spec), "##a", "##ab"]


def test_likelihood_prefers_tokens_that_are_rare_elsewhere() -> None:
    # Counts: a 20, ##b 10, ##c 10, q 4, ##u 4. "ab" is seen most, but q and u only together.
    words = {"ab": 10, "ac": 10, "qu": 4}

    def first_merge(score: str) -> str:
        spec = train_wordpiece(
            counter_of(words), vocab_size=10, score=score, special_tokens=["[UNK]"]
        )
        return tokens_of(spec)[9]

    assert first_merge("count") == "ab"
    assert first_merge("likelihood") == "qu"


def test_alphabet_and_order_of_ids() -> None:
    words = {"cab": 5, "bad": 3, "x": 1}
    spec = train_wordpiece(
        counter_of(words),
        vocab_size=6,
        special_tokens=["[UNK]"],
        initial_alphabet=["☃"],
        limit_alphabet=4,
    )
    # Counts: a 8, b 8, c 5, d 3, x 1; the snowman is kept, so d and x go.
    assert tokens_of(spec)[:7] == ["[UNK]", "a", "b", "c", "☃", "##a", "##b"]
    ordered = train_wordpiece(
        counter_of(words), vocab_size=6, special_tokens=["[UNK]"], continuing_order=["d", "b"]
    )
    assert tokens_of(ordered)[6:9] == ["##d", "##b", "##a"]


def test_longest_token() -> None:
    spec = train_wordpiece(
        counter_of({"abcdefgh": 9}), vocab_size=99, special_tokens=["[UNK]"], max_token_length=4
    )
    assert max(len(token.removeprefix("##")) for token in tokens_of(spec)[1:]) <= 4


def test_order_of_the_words_does_not_matter() -> None:
    words = {f"{a}{b}{c}": 1 + (i * 7) % 5 for i, (a, b, c) in enumerate(_triples())}
    backwards = dict(reversed(words.items()))
    for score in ("count", "likelihood"):
        one = train_wordpiece(counter_of(words), vocab_size=200, score=score)
        two = train_wordpiece(counter_of(backwards), vocab_size=200, score=score)
        assert one.to_dict() == two.to_dict()


def _triples() -> list[tuple[str, str, str]]:
    parts = ["al", "be", "ga", "de", "ep", "ze", "et"]
    return [(a, b, c) for a in parts for b in parts for c in parts]


def test_the_tokenizer_that_comes_of_it() -> None:
    words = {"unwanted": 9, "running": 9, "wanted": 5, "run": 5, ",": 3}
    spec = train_wordpiece(counter_of(words), vocab_size=80, special_tokens=SPECIALS)
    tokenizer = Tokenizer(spec)
    assert tokenizer.algorithm == "wordpiece"
    assert tokenizer.special_tokens == {text: i for i, text in enumerate(SPECIALS)}
    ids = tokenizer.encode("Unwanted, RUNNING", add_special_tokens=True)
    assert [tokenizer.id_to_token(i) for i in ids] == [
        "[CLS]", "unwanted", ",", "running", "[SEP]",
    ]  # fmt: skip
    assert tokenizer.decode(ids, skip_special_tokens=True) == "unwanted, running"


def test_progress_is_told_and_may_stop() -> None:
    told: list[tuple[str, int, int]] = []
    train_wordpiece(
        counter_of({"abab": 3}), vocab_size=12, progress=lambda *args: told.append(args)
    )
    assert told[-1][0] == "merge" and told[-1][2] == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 2}, "vocab_size must be at least 5"),
        ({"vocab_size": 99, "score": "best"}, "score must be one of count, likelihood"),
        ({"vocab_size": 99, "min_frequency": -1}, "min_frequency must be at least 0"),
        ({"vocab_size": 99, "special_tokens": ["a", "a"]}, "special_tokens must be distinct"),
        ({"vocab_size": 99, "special_tokens": ["a"]}, "must hold unk_token"),
        ({"vocab_size": 99, "vocabulary": 1}, "options must be those of WordPiece"),
        ({"vocab_size": 99, "limit_alphabet": 0}, "limit_alphabet must be at least 1"),
        ({"vocab_size": 99, "initial_alphabet": ["ab"]}, "initial_alphabet must hold single"),
    ],
)
def test_bad_arguments(options: dict[str, int | str | Sequence[str]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_wordpiece(counter_of({"ab": 1}), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "best"}, "score must be one of count, likelihood, got 'best'"),
        ({"min_frequency": -1}, "extend: min_frequency must be at least 0, got -1"),
        ({"max_token_length": 0}, "extend: max_token_length must be at least 1, got 0"),
        ({"limit_alphabet": -1}, "extend: limit_alphabet must be at least 0, got -1"),
        ({"vocab_size": 5}, r"vocab_size must be at least 6 \(the vocabulary and the new char"),
    ],
)
def test_extensions_that_cannot_be(options: dict[str, Any], message: str) -> None:
    spec = train_wordpiece(counter_of({"ab": 1}), vocab_size=4, special_tokens=["[UNK]"])
    with pytest.raises(ConfigError, match=message):
        extend(spec, {"bé": 3}, **({"vocab_size": 9} | options))


def test_counts_that_pass_64_bits_are_refused() -> None:
    with pytest.raises(DataError, match="fewer than 2\\^63 characters"):
        train_wordpiece(counter_of({"ab": 2**62, "ca": 2**61}), vocab_size=9)
    spec = train_wordpiece(counter_of({"ab": 1}), vocab_size=9)
    with pytest.raises(DataError, match="extend: the text must hold fewer than 2\\^63 characters"):
        extend(spec, {"ab": 2**62, "ca": 2**61}, vocab_size=20)
