"""Decode one token at a time without breaking a character."""

from llmcore import _bindings


class StreamDecoder:
    """Turns ids into text as they come; whole characters only.

    The pieces laid end to end equal `Tokenizer.decode` of all ids: bytes that never become
    well-formed UTF-8 turn into U+FFFD, as there.
    """

    def __init__(self, stream: _bindings.TextStream) -> None:
        self._stream = stream

    def push(self, token_id: int) -> str:
        """Text that is certain after `token_id`; empty while a character is unfinished.

        Raises:
            DataError: no such id.
        """
        return self._stream.push(token_id)

    def finish(self) -> str:
        """What is left: often empty, or U+FFFD for an unfinished character. It then starts anew."""
        return self._stream.finish()
