"""Words for the exercises, taken from the text that the model was trained on."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from llmcore.tokenizers import Tokenizer

_WORD = re.compile(r"(?<![A-Za-z0-9_])[a-z]{3,7}(?![A-Za-z0-9_])")


def frequent_words(texts: Iterable[str], *, max_words: int = 2000, min_count: int = 5) -> list[str]:
    """The most frequent lower-case words of three to seven letters, most frequent first.

    Args:
        texts: Documents of the training split.
        max_words: Length of the longest list returned.
        min_count: Words seen less often are left out.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_WORD.findall(text))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, count in ranked[:max_words] if count >= min_count]


def short_words(words: Sequence[str], tokenizer: Tokenizer, *, num_words: int) -> list[str]:
    """The `num_words` words of fewest tokens, of equals the earlier ones, in their order.

    Copying a word of one token is one step of attention, so a small model learns it first.
    """
    lengths = {word: len(tokenizer.encode(word)) for word in words}
    kept = set(sorted(words, key=lambda word: lengths[word])[:num_words])
    return [word for word in words if word in kept]
