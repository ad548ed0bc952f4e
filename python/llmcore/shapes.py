"""The axis legend: one letter per axis, used by annotations, docstrings, C++ checks and test ids.

Default layouts: activations `B T C`, heads `B T H D`, packed tokens `N H D`, cache `P page Hkv D`.
"""

from typing import Final

AXES: Final[dict[str, str]] = {
    "B": "sequences in the batch",
    "T": "query tokens, or the only length",
    "S": "key/value tokens",
    "N": "packed tokens, no batch axis",
    "M": "packed key/value tokens, where they are not N",
    "W": "last keys of a sequence that a tree mask covers",
    "H": "query heads, num_heads",
    "Hkv": "key/value heads, num_kv_heads",
    "D": "head_dim",
    "Dv": "width of a value head, where it is not D",
    "Dh": "half of head_dim: one rotary angle per pair of channels",
    "C": "model width, hidden_size",
    "F": "feed-forward width, intermediate_size",
    "V": "vocabulary, vocab_size",
    "E": "experts",
    "K": "top-k, or experts per token",
    "G": "completions per prompt",
    "P": "KV pages of page_size tokens",
    "page": "tokens of a page, page_size",
    "I": "input width of a linear map",
    "O": "output width of a linear map",
}

IGNORE_INDEX: Final = -100
"""Label of a position that carries no loss."""
