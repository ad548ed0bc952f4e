"""Decode one token at a time without breaking a character."""

import codecs
from collections.abc import Callable


class StreamDecoder:
    """Turns ids into text as they come; whole characters only.

    The pieces laid end to end equal `Tokenizer.decode` of all ids: bytes that never become
    well-formed UTF-8 turn into U+FFFD, as there.
    """

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """Text that `token_id` completes; empty while a character is unfinished.

        Raises:
            DataError: no such id.
        """
        return self._decoder.decode(self._token_bytes(token_id))

    def finish(self) -> str:
        """What is left: empty, or U+FFFD for an unfinished character. The decoder starts anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
