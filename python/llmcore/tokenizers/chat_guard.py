"""Special tokens that messages spell: found before a template renders them, and kept as text."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from llmcore.errors import DataError
from llmcore.tokenizers.chat_files import ROLES
from llmcore.tokenizers.chat_template import absent_chars, render_template

FindSpecial = Callable[[str], list[tuple[int, int]]]
"""Characters [start, end) of a text that would be read as special tokens, in order."""

_OWN_NAMES = frozenset(f"{role}_token" for role in ROLES)


def render_guarded(
    template: str,
    variables: Mapping[str, Any],
    find_special: FindSpecial,
    *,
    continue_final_message: bool | str = False,
) -> tuple[str, list[tuple[int, int]]]:
    """The rendered text, and the parts of it in which nothing is a special token.

    Every special token that a message, a tool or a variable spells stands between two marks while
    the template runs; the marks say where it went. Keys of mappings are not looked at, and a
    template that glues a token together from pieces of a message is not found out.

    Args:
        template: Jinja source.
        variables: From `template_variables`. The tokens' own names (`bos_token`, ...) are left
            alone.
        find_special: Finds the special tokens in one text.
        continue_final_message: As in `render_template`.

    Returns:
        The text, and spans [begin, end) of its UTF-8 bytes, in order; an empty span is a place
        that no special token may span.

    Raises:
        DataError: as `render_template`; or the template changes a message that spells a special
            token, so that the places cannot be told.
    """
    now = datetime.now()  # of both renderings
    text = render_template(
        template, variables, continue_final_message=continue_final_message, now=now
    )
    open_mark, close_mark = absent_chars(2, template, dict(variables), text)
    is_marked = False

    def marked(value: Any) -> Any:
        nonlocal is_marked
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(marked(item) for item in value)
        if not isinstance(value, str):
            return value
        out, done = [], 0
        for start, end in find_special(value):
            is_marked = True
            out += [value[done:start], open_mark, value[start:end], close_mark]
            done = end
        return "".join([*out, value[done:]]) if out else value

    names = {k: v if k in _OWN_NAMES else marked(v) for k, v in variables.items()}
    if not is_marked:
        return text, []
    again = render_template(template, names, continue_final_message=continue_final_message, now=now)
    plain, spans = _unmarked(again, open_mark, close_mark)
    if plain != text:
        raise DataError(
            "chat template: messages that spell a special token must be rendered as they are, "
            "got them changed"
        )
    return text, spans


def _unmarked(text: str, open_mark: str, close_mark: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks; bytes between a pair of marks, or where a lone mark stood."""
    spans: list[tuple[int, int]] = []
    plain: list[str] = []
    size = 0
    opened: int | None = None
    for piece in re.split(f"([{open_mark}{close_mark}])", text):
        if piece == open_mark:
            if opened is not None:
                spans.append((opened, opened))
            opened = size
        elif piece == close_mark:
            spans.append((size if opened is None else opened, size))
            opened = None
        else:
            plain.append(piece)
            size += len(piece.encode("utf-8", "surrogatepass"))
    if opened is not None:
        spans.append((opened, opened))
    return "".join(plain), spans
