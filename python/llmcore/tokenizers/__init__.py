"""Text to token ids and back. The door to csrc/tokenizer."""

from llmcore.tokenizers.bpe_training import train_bpe
from llmcore.tokenizers.stream_decoder import StreamDecoder
from llmcore.tokenizers.tokenizer import Tokenizer
from llmcore.tokenizers.vocabulary import AddedToken, Vocabulary

__all__ = ["AddedToken", "StreamDecoder", "Tokenizer", "Vocabulary", "train_bpe"]
