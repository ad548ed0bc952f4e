"""Text to token ids and back. The door to csrc/tokenizer."""

from llmcore.tokenizers.special_tokens import (
    CHAT_SPECIAL_TOKENS,
    END_OF_TEXT,
    IM_END,
    IM_START,
)
from llmcore.tokenizers.stream_decoder import StreamDecoder
from llmcore.tokenizers.tokenizer import Tokenizer
from llmcore.tokenizers.training import counts_for
from llmcore.tokenizers.word_counts import WordCounts

__all__ = [
    "CHAT_SPECIAL_TOKENS",
    "END_OF_TEXT",
    "IM_END",
    "IM_START",
    "StreamDecoder",
    "Tokenizer",
    "WordCounts",
    "counts_for",
]
