"""Words come from the text, frequent first, and short in tokens."""

import pytest

from llmcore.data.skills.words import frequent_words, short_words
from llmcore.tokenizers import Tokenizer


def test_frequent_words():
    texts = ["the cat the_dog Cat x1 " * 6, "a the cat mousetraps cat"]
    assert frequent_words(texts) == ["cat", "the"]
    assert frequent_words(texts, max_words=1) == ["cat"]
    assert frequent_words(["rare words only"]) == []
    assert frequent_words(["rare"], min_count=1) == ["rare"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["cat,dog,the,cat,dog,the" * 20], vocab_size=268)


@pytest.mark.parametrize(
    ("num_words", "kept"),
    [(1, ["cat"]), (2, ["cat", "dog"]), (3, ["zebra", "cat", "dog"]), (9, None)],
)
def test_the_shortest_words_are_kept_in_their_order(tokenizer, num_words, kept):
    words = ["quivers", "zebra", "cat", "dog"]
    assert short_words(words, tokenizer, num_words=num_words) == (kept or words)
