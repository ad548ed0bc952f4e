"""Byte-level BPE of this library's own training as the text of a `tokenizer.json`."""

import json
from typing import Any

from llmcore.tokenizers.vocabulary import AddedToken, Vocabulary

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def format_tokenizer_json(vocabulary: Vocabulary) -> str:
    """The text of a `tokenizer.json` that both libraries load."""
    added_ids = {t.id for t in vocabulary.added_tokens}
    learned = {text: i for i, text in enumerate(vocabulary.tokens) if i not in added_ids}
    learned |= {t.content: t.id for t in vocabulary.added_tokens}
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_entry(t) for t in vocabulary.added_tokens],
        "normalizer": None,
        "pre_tokenizer": {**_BYTE_LEVEL, "use_regex": True},
        "post_processor": {**_BYTE_LEVEL, "trim_offsets": False, "use_regex": True},
        "decoder": {**_BYTE_LEVEL, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": vocabulary.ignore_merges,
            "vocab": dict(sorted(learned.items(), key=lambda item: item[1])),
            "merges": vocabulary.merges,
        },
    }
    return json.dumps(data, ensure_ascii=False, indent=2)


def _added_entry(token: AddedToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "content": token.content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": token.normalized,
        "special": token.special,
    }
