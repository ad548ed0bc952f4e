"""Read and write `tokenizer.json`, the Hugging Face layout, for byte-level BPE.

A component that this library lacks is an error that names it: dropping it would change ids.
"""

import json
from pathlib import Path
from typing import Any

from llmcore.errors import DataError
from llmcore.tokenizers.vocabulary import AddedToken, Vocabulary

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_TOP_LEVEL = {
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
    "post_processor", "decoder", "model",
}  # fmt: skip


def read_tokenizer_json(path: Path) -> Vocabulary:
    """The vocabulary in a `tokenizer.json`.

    Raises:
        DataError: the file is missing or damaged, contradicts itself, or needs a component that
            is not byte-level BPE.
    """
    data = _parse(path)
    unknown = sorted(set(data) - _TOP_LEVEL)
    if unknown:
        raise DataError(f"{path.name}: must hold known fields only, got {unknown[0]!r}")
    _check_components(data, path.name)
    model = data.get("model")
    _check_model(model, path.name)
    assert isinstance(model, dict)
    added = _added_tokens(data.get("added_tokens", []), path.name)
    tokens = _tokens_by_id(model.get("vocab"), added, path.name)
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise DataError(f"{path.name}: model.merges must be a list, got {_kind(merges)}")
    return Vocabulary(
        tokens=tokens,
        merges=merges,
        added_tokens=added,
        ignore_merges=model.get("ignore_merges") is True,
    )


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


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes(), object_pairs_hook=_object_without_repeats)
    except OSError as error:
        raise DataError(f"tokenizer: cannot read {path}: {error.strerror}") from error
    except RecursionError:
        raise DataError(f"{path.name}: must be a tokenizer.json, got too deep a nesting") from None
    except ValueError as error:
        raise DataError(f"{path.name}: must be a tokenizer.json, got {error}") from None
    if not isinstance(data, dict):
        raise DataError(f"{path.name}: must be a tokenizer.json, got a JSON {_kind(data)}")
    return data


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {repeated!r} twice in one object")
    return result


def _check_components(data: dict[str, Any], name: str) -> None:
    for field in ("truncation", "padding", "normalizer"):
        if data.get(field) is not None:
            raise DataError(f"{name}: {field} must be null, got {_describe(data[field])}")
    _check_byte_level(data.get("pre_tokenizer"), f"{name}: pre_tokenizer")
    _check_byte_level(data.get("decoder"), f"{name}: decoder", splits=False)
    if data.get("post_processor") is not None:
        _check_byte_level(data["post_processor"], f"{name}: post_processor", splits=False)


def _describe(component: object) -> str:
    kind = component.get("type") if isinstance(component, dict) else None
    return str(kind) if isinstance(kind, str) else _kind(component)


def _check_byte_level(component: object, field: str, *, splits: bool = True) -> None:
    if not isinstance(component, dict) or component.get("type") != "ByteLevel":
        raise DataError(f"{field} must be ByteLevel, got {_describe(component)}")
    # A decoder or post-processor ignores both options.
    if splits and component.get("add_prefix_space") is not False:
        raise DataError(f"{field}: add_prefix_space must be false, got true")
    if splits and component.get("use_regex", True) is not True:
        raise DataError(f"{field}: use_regex must be true, got false")


def _check_model(model: object, name: str) -> None:
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise DataError(f"{name}: model must be BPE, got {_describe(model)}")
    if model.get("dropout") not in (None, 0):
        raise DataError(f"{name}: model.dropout must be null, got {model['dropout']}")
    for field in ("continuing_subword_prefix", "end_of_word_suffix", "unk_token"):
        if model.get(field) not in (None, ""):
            raise DataError(f"{name}: model.{field} must be null, got {model[field]!r}")
    if model.get("byte_fallback") not in (None, False):
        raise DataError(f"{name}: model.byte_fallback must be false, got true")


def _added_tokens(entries: object, name: str) -> tuple[AddedToken, ...]:
    if not isinstance(entries, list):
        raise DataError(f"{name}: added_tokens must be a list, got {_kind(entries)}")
    tokens = []
    for entry in entries:
        content = entry.get("content") if isinstance(entry, dict) else None
        token_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(content, str) or not content or type(token_id) is not int:
            raise DataError(f"{name}: an added token must have a content and an id, got {entry!r}")
        for flag in ("single_word", "lstrip", "rstrip"):
            if entry.get(flag, False) is not False:
                raise DataError(f"{name}: added token {content!r}: {flag} must be false, got true")
        tokens.append(
            AddedToken(
                id=token_id,
                content=content,
                special=entry.get("special") is True,
                normalized=entry.get("normalized") is True,
            )
        )
    return tuple(tokens)


def _tokens_by_id(vocab: object, added: tuple[AddedToken, ...], name: str) -> list[str]:
    if not isinstance(vocab, dict):
        raise DataError(f"{name}: model.vocab must be an object, got {_kind(vocab)}")
    ids: dict[str, object] = dict(vocab)
    for token in added:
        if ids.setdefault(token.content, token.id) != token.id:
            raise DataError(
                f"{name}: token {token.content!r} must have one id, "
                f"got {ids[token.content]} and {token.id}"
            )
    tokens: list[str | None] = [None] * len(ids)
    for text, token_id in ids.items():
        if type(token_id) is not int or not 0 <= token_id < len(tokens):
            raise DataError(
                f"{name}: ids must be 0 to {len(tokens) - 1} without gaps, "
                f"got {token_id!r} for token {text!r}"
            )
        if tokens[token_id] is not None:
            raise DataError(
                f"{name}: id {token_id} must name one token, got {tokens[token_id]!r} and {text!r}"
            )
        tokens[token_id] = text
    return [text for text in tokens if text is not None]
