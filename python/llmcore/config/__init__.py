"""Frozen, typed, self-validating configurations; TOML in and out; `--set` assignments."""

from llmcore.config.overrides import apply_overrides, differing_paths, leaf_paths
from llmcore.config.record import Config, require
from llmcore.config.suggest import unknown_key
from llmcore.config.toml import from_table, from_toml, to_table, to_toml

__all__ = [
    "Config",
    "apply_overrides",
    "differing_paths",
    "from_table",
    "from_toml",
    "leaf_paths",
    "require",
    "to_table",
    "to_toml",
    "unknown_key",
]
