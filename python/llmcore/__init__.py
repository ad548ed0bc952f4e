"""llmcore: tokenizer, pre-training, tuning, alignment, evaluation and inference in small rooms."""

from llmcore._native import require_libraries

__version__ = "0.1.0"
__all__ = ["__version__"]

require_libraries()
