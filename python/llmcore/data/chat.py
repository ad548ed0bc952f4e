"""ChatML: messages to text, to token ids, and to the mask of what is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llmcore.errors import DataError
from llmcore.tokenizers import IM_END, IM_START, Tokenizer

ROLES: Final = ("system", "user", "assistant")

CHATML_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The same rendering as a Jinja template for Hugging Face readers of a saved model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    """One of ROLES."""
    content: str
    """The turn's text; special-token spellings inside it are plain text."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise DataError(f"message: role must be one of {', '.join(ROLES)}, got {self.role!r}")
        if not isinstance(self.content, str):
            raise DataError(f"message: content must be a string, got {type(self.content).__name__}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedChat:
    """A chat as text, with the character spans that carry loss."""

    text: str
    trained_spans: tuple[tuple[int, int], ...]
    """Half-open [start, end) spans of `text`: each assistant content with its closing marker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatTokens:
    """A chat as token ids, with the mask of the tokens that carry loss."""

    ids: list[int]
    loss_mask: list[bool]
    """True where the token is a training target (not where it is an input)."""

    @property
    def num_trained_tokens(self) -> int:
        """Tokens that carry loss. The first token never does: nothing predicts it."""
        return sum(self.loss_mask)


def render_chat(
    messages: Sequence[Message], *, add_generation_prompt: bool = False
) -> RenderedChat:
    r"""Write messages as ChatML and say which characters are trained.

        <|im_start|>{role}\n{content}<|im_end|>\n      for each message
        <|im_start|>assistant\n                        with `add_generation_prompt`

    Rendering is a pure function, and a chat's prefix renders to a prefix: the text of
    `messages[:k]` with a generation prompt begins the text of `messages[:k + 1]` if that next
    message is the assistant's.

    Raises:
        DataError: a system message stands anywhere but first.

    Source: OpenAI's chat markup language; no default system line is ever added.
    """
    _check_order(messages)
    text = ""
    spans = []
    for message in messages:
        text += f"{IM_START}{message.role}\n"
        start = len(text)
        text += f"{message.content}{IM_END}"
        if message.role == "assistant":
            spans.append((start, len(text)))
        text += "\n"
    if add_generation_prompt:
        text += f"{IM_START}assistant\n"
    return RenderedChat(text=text, trained_spans=tuple(spans))


def encode_chat(
    tokenizer: Tokenizer, messages: Sequence[Message], *, add_generation_prompt: bool = False
) -> ChatTokens:
    """Encode messages as ChatML, with loss on assistant content and its closing marker only.

    Each header, content and line end is encoded by itself, so no token spans two of them: the
    generation prompt is always a token prefix of the completed chat, and the mask is exact.
    Markers become special-token ids only where this function writes them; in contents they are
    encoded as plain text, so a user cannot forge a turn.

    Raises:
        DataError: the tokenizer has no ChatML markers, or a system message is not first.
    """
    _check_order(messages)
    im_start, im_end = _marker_id(tokenizer, IM_START), _marker_id(tokenizer, IM_END)
    newline = tokenizer.encode("\n")
    ids: list[int] = []
    loss_mask: list[bool] = []

    def append(piece: list[int], *, trained: bool = False) -> None:
        ids.extend(piece)
        loss_mask.extend([trained] * len(piece))

    for message in messages:
        append([im_start, *tokenizer.encode(f"{message.role}\n")])
        content = tokenizer.encode(message.content, allowed_special="none")
        append([*content, im_end], trained=message.role == "assistant")
        append(newline)
    if add_generation_prompt:
        append([im_start, *tokenizer.encode("assistant\n")])
    return ChatTokens(ids=ids, loss_mask=loss_mask)


def _check_order(messages: Sequence[Message]) -> None:
    for index, message in enumerate(messages):
        if message.role == "system" and index > 0:
            raise DataError(f"messages[{index}]: a system message must be first, got it here")


def _marker_id(tokenizer: Tokenizer, marker: str) -> int:
    token_id = tokenizer.token_to_id(marker)
    if token_id is None:
        raise DataError(
            f"chat: tokenizer must have the special token {marker}, got a vocabulary without it"
        )
    return token_id
