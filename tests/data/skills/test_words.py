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


def test_short_words_are_single_tokens(tokenizer):
    words = ["zebra", "cat", "quiver", "dog"]
    assert short_words(words, tokenizer, min_words=1) == ["cat", "dog"]


def test_too_few_short_words_are_filled_up(tokenizer):
    words = ["zebra", "cat", "quiver", "dog"]
    assert short_words(words, tokenizer, min_words=3) == ["zebra", "cat", "dog"]
