"""WordPiece: longest match first, unknown words, one pass on any word."""

import random
import time

import pytest

from llmcore import _bindings
from llmcore.errors import DataError


def build(tokens: list[str], prefix: str = "##", max_chars: int = 100) -> _bindings.WordPiece:
    return _bindings.WordPiece.build(tokens, "[UNK]", prefix, max_chars)


def longest_match(tokens: list[str], prefix: str, word: str) -> list[int]:
    ids, begin = {t: i for i, t in enumerate(tokens)}, 0
    found = []
    while begin < len(word):
        for end in range(len(word), begin, -1):
            id_ = ids.get((prefix if begin else "") + word[begin:end])
            if id_ is not None:
                break
        else:
            return [ids["[UNK]"]]
        found.append(id_)
        begin = end
    return found


def test_the_paper_s_example() -> None:
    tokens = ["[UNK]", "a", "abcdx", "##b", "##c", "##cdy", "##dz"]
    model = build(tokens)
    ids, ends = model.encode_with_ends("abcdz")
    assert [tokens[i] for i in ids] == ["a", "##b", "##c", "##dz"]
    assert ends.tolist() == [1, 2, 3, 5]
    assert model.encode("abcd").tolist() == [0]


@pytest.mark.parametrize("prefix", ["##", "", "a"])
def test_against_the_plain_loop(prefix: str) -> None:
    rng = random.Random(1)
    for _ in range(60):
        tokens = ["[UNK]", *("a", "b", prefix + "a", prefix + "b")[: rng.randrange(5)]]
        for _ in range(20):
            text = "".join(rng.choice("ab") for _ in range(rng.randrange(2, 9)))
            tokens.append(rng.choice(["", prefix, prefix]) + text)
        tokens = list(dict.fromkeys(tokens))
        model = build(tokens, prefix)
        for _ in range(100):
            word = "".join(rng.choice("ab") for _ in range(rng.randrange(1, 30)))
            assert model.encode(word).tolist() == longest_match(tokens, prefix, word)


def test_the_length_limit_counts_characters() -> None:
    model = build(["[UNK]", "é", "##é"], max_chars=5)
    assert model.encode("é" * 5).tolist() == [1, 2, 2, 2, 2]
    ids, ends = model.encode_with_ends("é" * 6)
    assert (ids.tolist(), ends.tolist()) == ([0], [12])


def test_prefix_alone_is_an_ordinary_word() -> None:
    model = build(["[UNK]", "##", "##b", "a"])
    assert model.encode("##").tolist() == [1]
    assert model.encode("##b").tolist() == [2]
    assert model.encode("a##").tolist() == [0]


def test_long_words_take_time_in_proportion() -> None:
    """The plain loop would look at every end of every rest: 10^12 steps."""
    tokens = ["[UNK]", "a", "##a", "##" + "a" * 500 + "b"]
    model = build(tokens, max_chars=10_000_000)
    begin = time.perf_counter()
    assert len(model.encode("a" * 1_000_000)) == 1_000_000
    assert time.perf_counter() - begin < 10


def test_long_tokens_take_memory_in_proportion() -> None:
    tokens = ["[UNK]", "a", "##a", *("##" + "a" * size + "b" for size in (2000, 20_000))]
    model = build(["x" + "a" * 50_000 + "y", *tokens], max_chars=1_000_000)
    word = "a" * 30_000
    assert len(model.encode(word)) == 30_000
    assert model.encode("x" + word).tolist() == [1]


def test_bytes_that_are_not_utf8_are_unknown() -> None:
    model = build(["[UNK]", "a", "##b"])
    for word in [b"\xff", b"a\xc3", b"\xe2\x96", b"ab\x00", b"\x01", b"\x00a"]:
        ids, ends = model.encode_with_ends(word)
        assert (ids.tolist(), ends.tolist()) == ([0], [len(word)])


def test_an_unknown_word_needs_its_token() -> None:
    model = _bindings.WordPiece.build(["a"], "[UNK]", "##", 100)
    assert model.encode("a").tolist() == [0]
    with pytest.raises(DataError, match="unk_token is not a token"):
        model.encode("b")
