"""What bounds the time and the space of a template that nobody has to trust.

Each hook that runs on behalf of the template looks at the clock and bounds what it is about to
build, so that the work between two hooks is bounded too.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MAX_NUMBER = 1_000_000
"""Largest integer argument of a filter or a string method: widths, counts, precisions."""
MAX_BITS = 100_000
MAX_ITEMS = 500_000
"""Of a list or mapping, with those of the lists in it."""
MAX_ODD_CHARS = 100_000
"""Input of filters that may take quadratic time."""

_ODD_FILTERS = {"pprint", "striptags", "title", "urlize", "wordwrap", "xmlattr"}


class TooMuchError(Exception):
    """The template asked for more than the limits allow."""


class Limits:
    """Bounds of one rendering; every method raises `TooMuchError` where they are passed.

    Args:
        max_chars: Most characters and items of any value.
        max_seconds: Most time, from now on.
    """

    def __init__(self, max_chars: int, max_seconds: float) -> None:
        self._max_chars = max_chars
        self._max_seconds = max_seconds
        self._deadline = time.monotonic() + max_seconds

    def check_time(self) -> None:
        """Look at the clock."""
        if time.monotonic() > self._deadline:
            raise TooMuchError(f"take more than {self._max_seconds:g} seconds")

    def check_size(self, size: int) -> None:
        """Check a number of characters and items."""
        if size > self._max_chars:
            raise TooMuchError(f"build texts of more than {self._max_chars} characters")

    def size_of(self, value: Any) -> int:
        """Characters and items of a value; what it holds many times counts as often."""
        size = num_items = 0
        stack = [value]
        while stack:
            item = stack.pop()
            size += 1
            if isinstance(item, str | bytes):
                size += len(item)
                self.check_size(size)
            elif isinstance(item, list | tuple | set | frozenset | dict):
                num_items += len(item)
                if num_items > MAX_ITEMS:
                    raise TooMuchError(f"build lists of more than {MAX_ITEMS} items")
                stack.extend(item)
                if isinstance(item, dict):
                    stack.extend(item.values())
        return size

    def checked(self, value: Any) -> Any:
        """The value itself, if it is not too large and the time is not up."""
        self.check_time()
        if isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
            self.size_of(value)
        return value

    def count(self, values: Any) -> "Counted":
        """What a loop runs over, with a look at the clock for each item."""
        return Counted(values, self)

    def join(self, texts: Iterable[str]) -> str:
        """The texts end to end."""
        texts = list(texts)
        self.check_time()
        self.check_size(sum(map(len, texts)))
        return "".join(texts)

    def join_values(self, values: Sequence[Any]) -> str:
        """The operator `~`."""
        self.size_of(list(values))
        return self.join(str(value) for value in values)

    def check_operands(self, operator: str, left: Any, right: Any) -> None:
        """Before an operator of two values runs."""
        self.check_time()
        if operator == "%" and isinstance(left, str):
            self.check_format(left, (right,))
        elif operator == "+":
            if not isinstance(left, int | float):
                self.check_size(self.size_of(left) + self.size_of(right))
        elif operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            factor = abs(right) if operator == "**" else 1
            if left.bit_length() * factor > MAX_BITS or right.bit_length() > MAX_BITS:
                raise TooMuchError(f"compute numbers of more than {MAX_BITS} bits")
        elif operator == "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(times, int) and isinstance(value, str | bytes):
                    self.check_size(len(value) * max(times, 0))
                elif isinstance(times, int) and isinstance(value, list | tuple):
                    self.check_size(self.size_of(value) * max(times, 0))
                    if len(value) * max(times, 0) > MAX_ITEMS:
                        raise TooMuchError(f"build lists of more than {MAX_ITEMS} items")

    def check_format(self, text: str, values: tuple[Any, ...]) -> None:
        """Of `%` and `str.format`: widths as written, and how often a value may come."""
        if re.search(r"{[^{}]*{", text.replace("{{", "")) or "*" in text:
            for value in values:
                self._check_numbers(value if isinstance(value, tuple | list) else (value,))
            if any(isinstance(v, str) and re.search(r"\d{7}", v) for v in values):
                raise TooMuchError(f"ask for widths of more than {MAX_NUMBER}")
        widths = sum(int(digits) for digits in re.findall(r"\d{1,18}", text))
        places = text.count("%") + text.count("{")
        self.check_size(len(text) + widths + places * self.size_of(list(values)))

    def check_arguments(
        self, name: str, subject: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Before a filter, or a method of a text, runs on `subject`."""
        self.check_time()
        values = (*args, *kwargs.values())
        self._check_numbers(values)
        if name == "replace" and isinstance(subject, str) and len(values) >= 2:
            old, new = str(values[0]), str(values[1])
            self.check_size(len(subject) + subject.count(old) * len(new))
        elif name == "join":  # the filter's subject is the texts, the method's is the glue
            texts, glue = subject, values[0] if values else ""
            if isinstance(glue, list | tuple):
                texts, glue = glue, texts
            if isinstance(texts, list | tuple | str):
                self.check_size(len(texts) * self.size_of(glue))
        elif name in ("format", "format_map"):
            self.check_format(str(subject), values)
        elif name in ("indent", "expandtabs", "translate", "tojson"):
            widest = max((self._width(value) for value in values), default=8)
            stops = subject.count("\n") + subject.count("\t") + 1 if isinstance(subject, str) else 1
            if name in ("translate", "tojson"):
                stops = self.size_of(subject)
            self.check_size(stops * widest)
        elif name in _ODD_FILTERS:
            if self.size_of([subject, *values]) > MAX_ODD_CHARS:
                raise TooMuchError(f"use {name} on more than {MAX_ODD_CHARS} characters")
        elif name == "sum" and any(isinstance(v, list | tuple) for v in values):
            raise TooMuchError("sum up lists")

    def _width(self, value: Any) -> int:
        return max(value, 1) if isinstance(value, int) else self.size_of(value)

    def _check_numbers(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, int) and abs(value) > MAX_NUMBER:
                raise TooMuchError(f"use arguments beyond {MAX_NUMBER}, got {value}"[:200])


class Counted:
    """What a loop runs over, with a look at the clock for each item."""

    def __init__(self, values: Any, limits: Limits) -> None:
        self._values = values
        self._limits = limits

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        for value in self._values:
            self._limits.check_time()
            yield value
