"""Configurations as TOML text and as nested dictionaries."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

import tomli_w

from llmcore.config.record import Config, coerce, field_types, nested_config
from llmcore.config.suggest import unknown_key
from llmcore.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=Config)


def to_table(config: Config) -> dict[str, Any]:
    """Nested dictionary of all fields; tuples become lists, keys text, and None is left out."""
    table: dict[str, Any] = {}
    for name in field_types(type(config)):
        value = getattr(config, name)
        if isinstance(value, Config):
            table[name] = to_table(value)
        elif isinstance(value, tuple):
            table[name] = list(value)
        elif isinstance(value, dict):
            table[name] = {str(key): item for key, item in value.items()}
        elif value is not None:
            table[name] = value
    return table


def from_table(cls: type[ConfigT], table: Mapping[str, Any], *, prefix: str = "") -> ConfigT:
    """Build a configuration from a nested dictionary; missing keys take their defaults.

    Args:
        cls: The class to build.
        table: Keys are field names, values are TOML values.
        prefix: Dotted path of this table inside the whole, for messages.

    Raises:
        ConfigError: unknown key (with a suggestion), missing required key, wrong type or value.
    """
    annotations = field_types(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in annotations:
            raise unknown_key(cls.__name__, prefix + key, [prefix + name for name in annotations])
        nested = nested_config(annotations[key])
        if nested is not None and isinstance(value, Mapping):
            values[key] = from_table(nested, value, prefix=f"{prefix}{key}.")
        else:
            values[key] = coerce(value, annotations[key], f"{cls.__name__}: {prefix}{key}")
    for field in dataclasses.fields(cls):
        has_default = (field.default, field.default_factory) != (MISSING, MISSING)
        if not has_default and field.name not in values:
            raise ConfigError(f"{cls.__name__}: key '{prefix}{field.name}' is required")
    return cls(**values)


def to_toml(config: Config) -> str:
    """The configuration as TOML text; `from_toml` of it gives an equal object."""
    return tomli_w.dumps(to_table(config))


def from_toml(cls: type[ConfigT], text: str) -> ConfigT:
    """Parse TOML text into a configuration.

    Args:
        cls: The class to build.
        text: TOML document whose top-level keys are the fields of `cls`.

    Raises:
        ConfigError: not TOML, unknown or missing key, wrong type or value.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{cls.__name__}: text must be TOML, got {error}") from error
    return from_table(cls, table)
