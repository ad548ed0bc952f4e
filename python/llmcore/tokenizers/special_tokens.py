"""The special tokens that every tokenizer of this library's own training begins with."""

from typing import Final

END_OF_TEXT: Final = "<|endoftext|>"
"""Document separator: it begins and ends every document, and pads."""
IM_START: Final = "<|im_start|>"
"""Begins a turn of a chat."""
IM_END: Final = "<|im_end|>"
"""Ends a turn of a chat."""

CHAT_SPECIAL_TOKENS: Final = (END_OF_TEXT, IM_START, IM_END)
"""In the order of their ids, 0 to 2."""
