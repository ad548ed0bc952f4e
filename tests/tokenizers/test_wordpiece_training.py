"""WordPiece training: both scores by their definition, alphabet, limits, the tokenizer made."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore._bindings import TokenizerSpec, WordCounter
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.wordpiece_training import train_wordpiece

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
    ids = {token: i for i, token in enumerate(tokens)}
    split = {word: [word[0]] + ["##" + c for c in word[1:]] for word in words}
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

        allowed = [pair for pair in pairs if pairs[pair] >= max(least, 1)]
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


def test_counts_that_pass_64_bits_are_refused() -> None:
    with pytest.raises(DataError, match="fewer than 2\\^63 characters"):
        train_wordpiece(counter_of({"ab": 2**62, "ca": 2**61}), vocab_size=9)
