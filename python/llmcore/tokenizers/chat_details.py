"""The chat templates of a tokenizer, and what it takes to use one."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmcore.errors import ConfigError
from llmcore.tokenizers.chat_files import DEFAULT_TEMPLATE, ROLES

_TOOL_TEMPLATE = "tool_use"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatDetails:
    """What a tokenizer's files say about chats."""

    templates: Mapping[str, str]
    """Jinja sources by name; the main one is "default"."""
    tokens: Mapping[str, str]
    """Texts of the tokens with a role, by the name that templates know: `bos_token`, ..."""

    @classmethod
    def from_extra(cls, extra: str, token_text: Callable[[int], str]) -> "ChatDetails":
        """Read a spec's `extra`; `token_text` gives the text of an id."""
        table: dict[str, Any] = json.loads(extra)
        templates = dict(table.get("chat_templates") or {})
        if isinstance(default := table.get("chat_template"), str):
            templates[DEFAULT_TEMPLATE] = default
        roles = table.get("roles") or {}
        tokens = {f"{role}_token": token_text(roles[role]) for role in ROLES if role in roles}
        return cls(templates=templates, tokens=tokens)

    def template(self, wanted: str | None, *, has_tools: bool) -> str:
        """The source: a stored template by name, or `wanted` itself; None takes the one that fits.

        Raises:
            ConfigError: none was asked for and the tokenizer has none.
        """
        if wanted is not None:
            return self.templates.get(wanted, wanted)
        if has_tools and _TOOL_TEMPLATE in self.templates:
            return self.templates[_TOOL_TEMPLATE]
        if DEFAULT_TEMPLATE in self.templates:
            return self.templates[DEFAULT_TEMPLATE]
        named = f"; it has {', '.join(self.templates)}" if self.templates else ""
        raise ConfigError(
            f"apply_chat_template: template must be given, the tokenizer's files hold none{named}"
        )


def special_finder(texts: Iterable[str]) -> Callable[[str], list[tuple[int, int]]]:
    """A function that finds these texts in another one, the longest first, as `FindSpecial`."""
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    if not longest_first:
        return lambda text: []
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return lambda text: [found.span() for found in pattern.finditer(text)]


def normalized_finder(
    encode_with_offsets: Callable[..., tuple[list[int], list[tuple[int, int]]]],
    special_ids: Iterable[int],
) -> Callable[[str], list[tuple[int, int]]]:
    """The same for special tokens that are found in what a normaliser makes of the text."""
    special = frozenset(special_ids)

    def find(text: str) -> list[tuple[int, int]]:
        ids, spans = encode_with_offsets(text, allowed_special="all")
        found = zip(ids, spans, strict=True)
        return [span for token_id, span in found if token_id in special and span[0] < span[1]]

    return find
