"""Words for the exercises, taken from the text that the model was trained on."""

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"(?<![A-Za-z0-9_])[a-z]{3,7}(?![A-Za-z0-9_])")


def frequent_words(texts: Iterable[str], *, max_words: int = 1500, min_count: int = 5) -> list[str]:
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
