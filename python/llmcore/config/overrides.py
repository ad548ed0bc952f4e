"""Typed `--set a.b=value` assignments and the comparison of two configurations."""

import types
from collections.abc import Iterable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from llmcore.config.record import Config, coerce, describe, field_types, nested_config
from llmcore.config.suggest import unknown_key
from llmcore.config.toml import from_table, to_table
from llmcore.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=Config)


def leaf_paths(config: Config | type[Config]) -> dict[str, Any]:
    """Dotted path -> declared type of every settable field, in order of declaration.

    Args:
        config: A configuration or its class.
    """
    cls = config if isinstance(config, type) else type(config)
    paths: dict[str, Any] = {}
    for name, annotation in field_types(cls).items():
        nested = nested_config(annotation)
        if nested is None:
            paths[name] = annotation
        else:
            paths |= {f"{name}.{path}": kind for path, kind in leaf_paths(nested).items()}
    return paths


def apply_overrides(config: ConfigT, assignments: Iterable[str]) -> ConfigT:
    """A new configuration with the assignments made, in order; the last one of a key wins.

    Values are read by the type of the field: `true`/`false`, numbers, plain text (quotes are
    optional), `none` for an optional field, comma-separated items for a tuple.

    Args:
        config: Start.
        assignments: Strings `path.to.field=value`.

    Raises:
        ConfigError: no `=`, unknown path (with a suggestion), wrong type, or a value that the
            configuration refuses; all assignments are made before values are validated.
    """
    owner = type(config).__name__
    paths = leaf_paths(config)
    table = to_table(config)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        path = path.strip()
        if not equals:
            raise ConfigError(f"{owner}: assignment must be KEY=VALUE, got {assignment!r}")
        if path not in paths:
            raise unknown_key(owner, path, list(paths))
        value = parse_text(text.strip(), paths[path], f"{owner}: {path}")
        _assign(table, path.split("."), value)
    return from_table(type(config), table)


def parse_text(text: str, annotation: Any, field: str) -> Any:
    """Read command-line text as the declared type.

    Args:
        text: What stood after `=`.
        annotation: The field's declared type.
        field: Name for the message.

    Raises:
        ConfigError: the text is not a value of that type.
    """
    is_union = get_origin(annotation) in (Union, types.UnionType)
    options = get_args(annotation) if is_union else (annotation,)
    if types.NoneType in options and text.lower() == "none":
        return None
    candidates = [_parse_one(text, option) for option in options if option is not types.NoneType]
    for candidate in candidates:
        if candidate is not None:
            return coerce(candidate, annotation, field)
    raise ConfigError(f"{field} must be {describe(annotation)}, got {text!r}")


def differing_paths(left: Config, right: Config) -> list[tuple[str, Any, Any]]:
    """The leaf fields in which two configurations of one class differ: (path, left, right)."""
    pairs = []
    for path in leaf_paths(left):
        ours, theirs = _value_at(left, path), _value_at(right, path)
        if ours != theirs:
            pairs.append((path, ours, theirs))
    return pairs


def _parse_one(text: str, option: Any) -> Any:
    if get_origin(option) is tuple:
        items = [item.strip() for item in text.strip("()[]").split(",") if item.strip()]
        kinds = [arg for arg in get_args(option) if arg is not Ellipsis]
        wanted = kinds * len(items) if len(kinds) == 1 else kinds
        if len(wanted) != len(items):
            return None
        return tuple(_parse_one(item, kind) for item, kind in zip(items, wanted, strict=True))
    if get_origin(option) is Literal:
        return next((value for value in get_args(option) if str(value) == _unquoted(text)), None)
    if option is bool:
        return {"true": True, "false": False}.get(text.lower())
    if option in (int, float):
        return _number(text, option)
    return _unquoted(text)


def _number(text: str, kind: type[int] | type[float]) -> int | float | None:
    try:
        return kind(text.replace("_", ""))
    except ValueError:
        return None


def _unquoted(text: str) -> str:
    is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _assign(table: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    if value is None:
        table.pop(keys[-1], None)
    else:
        table[keys[-1]] = value


def _value_at(config: Config, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = getattr(value, key) if value is not None else None
    return value
