"""The base of every configuration and the check that a field has its declared type."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from llmcore.errors import ConfigError


def require(condition: bool, field: str, expected: str, got: object) -> None:
    """Raise the library's one-line `ConfigError` unless `condition` holds.

    Args:
        condition: What must be true.
        field: Name of the field, for example `OptimConfig: peak_lr`.
        expected: Completes "must be ...".
        got: The offending value.

    Raises:
        ConfigError: `condition` is false.
    """
    if not condition:
        raise ConfigError(f"{field} must be {expected}, got {got!r}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A frozen record whose fields are checked against their annotations on construction.

    Subclasses are decorated `@dataclass(frozen=True, kw_only=True, slots=True)` and override
    `validate`. An int given for a float field becomes a float, a list for a tuple field a tuple.

    Raises:
        ConfigError: a field has the wrong type, or `validate` refuses a value.
    """

    def __post_init__(self) -> None:
        for name, annotation in field_types(type(self)).items():
            value = getattr(self, name)
            checked = coerce(value, annotation, f"{type(self).__name__}: {name}")
            if checked is not value:
                object.__setattr__(self, name, checked)
        self.validate()

    def validate(self) -> None:
        """Raise `ConfigError` where values are out of range or contradict each other."""


def field_types(cls: type[Config]) -> dict[str, Any]:
    """Name -> annotation of every field of a `Config` class, in order of declaration."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def nested_config(annotation: Any) -> type[Config] | None:
    """The `Config` class in `annotation` (`Sub` or `Sub | None`), or None for a leaf field."""
    for option in _union_options(annotation):
        if isinstance(option, type) and issubclass(option, Config):
            return option
    return None


def coerce(value: object, annotation: Any, field: str) -> Any:
    """Return `value` as the declared type.

    Args:
        value: What was given.
        annotation: The field's declared type.
        field: Name for the message.

    Raises:
        ConfigError: `value` is not of that type.
    """
    for option in _union_options(annotation):
        matched, result = _match(value, option, field)
        if matched:
            return result
    raise ConfigError(f"{field} must be {describe(annotation)}, got {value!r}")


def describe(annotation: Any) -> str:
    """A type in words for error messages: `a float`, `one of 'a', 'b'`, `a tuple of an int`."""
    names = []
    for option in _union_options(annotation):
        origin, args = get_origin(option), get_args(option)
        if option is types.NoneType:
            names.append("none")
        elif origin is Literal:
            names.append("one of " + ", ".join(repr(arg) for arg in args))
        elif origin is tuple:
            parts = [describe(arg) for arg in args if arg is not Ellipsis]
            names.append("a tuple of " + ", ".join(parts))
        elif origin is dict:
            names.append(f"a table of {describe(args[0])} to {describe(args[1])}")
        elif isinstance(option, type) and issubclass(option, Config):
            names.append(f"a {option.__name__} table")
        else:
            names.append(_WORDS.get(option, str(option)))
    return " or ".join(names)


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
}


def _union_options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _match(value: object, option: Any, field: str) -> tuple[bool, Any]:
    if option is types.NoneType:
        return value is None, None
    if option is bool or option is str:
        return isinstance(value, option), value
    if option is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    if option is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number, float(value) if is_number and isinstance(value, int) else value
    if get_origin(option) is Literal:
        return value in get_args(option), value
    if get_origin(option) is tuple:
        return _match_tuple(value, get_args(option), field)
    if get_origin(option) is dict:
        return _match_dict(value, get_args(option), field)
    if isinstance(option, type) and issubclass(option, Config):
        return _match_config(value, option)
    raise TypeError(f"{field}: {option} is not a type that Config fields can have")


def _match_tuple(value: object, args: tuple[Any, ...], field: str) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple):
        return False, value
    is_open = len(args) == 2 and args[1] is Ellipsis
    if not is_open and len(value) != len(args):
        return False, value
    wanted = [args[0]] * len(value) if is_open else list(args)
    items = tuple(coerce(item, kind, field) for item, kind in zip(value, wanted, strict=True))
    unchanged = isinstance(value, tuple) and all(
        new is old for new, old in zip(items, value, strict=True)
    )
    return True, value if unchanged else items


def _match_dict(value: object, args: tuple[Any, ...], field: str) -> tuple[bool, Any]:
    if not isinstance(value, Mapping):
        return False, value
    key_kind, item_kind = args
    items = {
        coerce(_integer_of(key) if key_kind is int else key, key_kind, field): coerce(
            item, item_kind, field
        )
        for key, item in value.items()
    }
    return True, value if isinstance(value, dict) and items == value else items


def _integer_of(key: object) -> object:
    """The number that a TOML key spells; anything else as it is."""
    is_number = isinstance(key, str) and key.removeprefix("-").isdecimal()
    return int(str(key)) if is_number else key


def _match_config(value: object, option: type[Config]) -> tuple[bool, Any]:
    if isinstance(value, Mapping):
        return True, option(**value)
    return isinstance(value, option), value
