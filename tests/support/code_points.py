"""Unicode's code points, surrogates left out: a sample, or all of them.

With LLMCORE_EXHAUSTIVE=1 in the environment the tests that go over code points take every one:
what a new Unicode version or a change of the tables deserves (minutes in place of seconds).
"""

import os


def _sample() -> list[int]:
    """Every one where scripts with cases and marks live, the more distant ones in steps."""
    dense = [*range(0x3100), *range(0xA640, 0xAC00), *range(0xF900, 0x10000)]
    return [*dense, *range(0x3100, 0xA640, 61), *range(0xAC00, 0xD7A4, 29),
            *range(0x10000, 0x20000, 7), *range(0x20000, 0x110000, 251), 0x10FFFF]  # fmt: skip


def code_points() -> list[int]:
    """In ascending order."""
    if os.environ.get("LLMCORE_EXHAUSTIVE") == "1":
        return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    return sorted(_sample())
