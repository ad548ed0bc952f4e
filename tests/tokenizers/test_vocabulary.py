"""The compiled model refuses vocabularies that contradict themselves."""

import pytest

from llmcore._bindings import bytes_to_text
from llmcore.errors import DataError
from llmcore.tokenizers import AddedToken, Vocabulary

BYTES = [bytes_to_text(bytes([b])) for b in range(256)]
ALLOW_NONE: list[bool] = []


def test_lowest_rank_first_then_leftmost() -> None:
    encoder = Vocabulary(tokens=[*BYTES, "bc", "ab", "aa"], merges=["b c", "a b", "a a"]).build()
    assert encoder.encode("abc", ALLOW_NONE) == [97, 256]
    assert encoder.encode("aaa", ALLOW_NONE) == [258, 97]


def test_long_pieces_follow_the_same_order() -> None:
    encoder = Vocabulary(tokens=[*BYTES, "bc", "ab", "aa"], merges=["b c", "a b", "a a"]).build()
    assert encoder.encode("abc" * 100, ALLOW_NONE) == [97, 256] * 100
    assert encoder.encode("a" * 101, ALLOW_NONE) == [258] * 50 + [97]


def test_ignore_merges_takes_a_whole_piece() -> None:
    tokens = [*BYTES, "abc", "bc"]
    merges = [["b", "c"], ["a", "bc"]]
    assert Vocabulary(tokens=tokens, merges=merges[:1]).build().encode("abc", []) == [97, 257]
    ignoring = Vocabulary(tokens=tokens, merges=merges[:1], ignore_merges=True).build()
    assert ignoring.encode("abc", ALLOW_NONE) == [256]


def test_token_twice() -> None:
    with pytest.raises(DataError, match='token "a" must have one id'):
        Vocabulary(tokens=[*BYTES, "a"], merges=[]).build()


@pytest.mark.parametrize("merge", ["a q9", ["a", "zz"], "a b"])
def test_merge_of_unknown_tokens(merge: str | list[str]) -> None:
    with pytest.raises(DataError, match="merge 0 must name tokens"):
        Vocabulary(tokens=BYTES, merges=[merge]).build()


@pytest.mark.parametrize("merge", ["ab", "a b c", "", ["a"], ["a", "b", "c"], 3, None, {}])
def test_malformed_merge(merge: object) -> None:
    with pytest.raises(DataError, match="merge 0 must be two tokens"):
        Vocabulary(tokens=[*BYTES, "ab"], merges=[merge]).build()


@pytest.mark.parametrize("merge", [["a", 3], [None, "b"]])
def test_merge_of_non_strings(merge: list[object]) -> None:
    with pytest.raises(DataError, match="a token must be a string"):
        Vocabulary(tokens=BYTES, merges=[merge]).build()


def test_a_byte_without_a_token_is_an_error_not_a_loss() -> None:
    encoder = Vocabulary(tokens=["a", "b", "ab"], merges=["a b"]).build()
    assert encoder.encode("abba", ALLOW_NONE) == [2, 1, 0]
    with pytest.raises(DataError, match="got byte 99 that this vocabulary lacks"):
        encoder.encode("abc", ALLOW_NONE)


def test_added_tokens_that_are_not_special_are_always_found() -> None:
    added = (AddedToken(id=256, content="<x>", special=False, normalized=True),)
    encoder = Vocabulary(tokens=[*BYTES, "<x>"], merges=[], added_tokens=added).build()
    assert encoder.encode("a<x>", [True]) == [97, 256]
    assert encoder.token_bytes(256) == b"<x>"
