"""The error for an unknown key, with the nearest known one."""

import difflib
from collections.abc import Sequence

from llmcore.errors import ConfigError


def unknown_key(owner: str, key: str, known: Sequence[str]) -> ConfigError:
    """A `ConfigError` for an unknown key: what was given and what was probably meant.

    Args:
        owner: Class or command that was asked.
        key: The key that does not exist.
        known: Every key that does.
    """
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if nearest:
        return ConfigError(f"{owner}: unknown key '{key}'; did you mean '{nearest[0]}'?")
    return ConfigError(f"{owner}: unknown key '{key}'; known keys: {', '.join(sorted(known))}")
