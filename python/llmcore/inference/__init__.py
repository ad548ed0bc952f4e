"""Generation with a key/value cache."""

from llmcore.inference.generate import generate, stream
from llmcore.inference.kv_cache import KVCache

__all__ = ["KVCache", "generate", "stream"]
