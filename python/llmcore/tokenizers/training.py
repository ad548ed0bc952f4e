"""Train a tokenizer of any algorithm, and extend one."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.bpe_training import extend_bpe, train_bpe_spec
from llmcore.tokenizers.components import Component, component_json, pre_tokenizer_json
from llmcore.tokenizers.sources import TextSource
from llmcore.tokenizers.word_counts import Progress, WordCounts

SpecTrainer = Callable[..., _bindings.TokenizerSpec]

TRAINERS: Mapping[str, SpecTrainer] = MappingProxyType({"bpe": train_bpe_spec})
"""By algorithm: a function that gives word counts, and its own keywords, to a specification."""

EXTENDERS: Mapping[str, SpecTrainer] = MappingProxyType({"bpe": extend_bpe})
"""By algorithm: a specification and what `TRAINERS` take, to an extended specification."""

_SENTENCEPIECE_WORDS = (
    '{"type":"Split","pattern":{"Regex":"\u2581*[^\u2581]+|\u2581+"},"behavior":"Isolated",'
    '"invert":false}'
)


def train_spec(
    source: TextSource | WordCounts,
    *,
    algorithm: str = "bpe",
    vocab_size: int,
    pattern: str | None = None,
    normalizer: Component | None = None,
    pre_tokenizer: Component | None = None,
    text_field: str = "text",
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> _bindings.TokenizerSpec:
    """Count the texts and train; see `Tokenizer.train`."""
    trainer = _of(TRAINERS, algorithm, "train: algorithm must be")
    _check_options(trainer, options, f"train: with algorithm {algorithm!r}, options")
    if isinstance(source, WordCounts) and not pattern is normalizer is pre_tokenizer is None:
        raise ConfigError(
            "train: pattern, normalizer and pre_tokenizer must be those of the counts, got others "
            "beside them"
        )
    byte_level = algorithm == "bpe" and options.get("byte_level", True)
    splits = pre_tokenizer_json(pattern, pre_tokenizer, byte_level=byte_level)

    def count() -> WordCounts:
        if isinstance(source, WordCounts):
            return source
        counts = WordCounts.of_components(component_json(normalizer), splits, num_threads)
        counts.is_temporary = True
        return counts.count(source, text_field=text_field, progress=progress)

    return trainer(count, vocab_size=vocab_size, progress=progress, **options)


def extend_spec(
    spec: _bindings.TokenizerSpec,
    source: TextSource | WordCounts,
    *,
    vocab_size: int,
    text_field: str = "text",
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> _bindings.TokenizerSpec:
    """Count the new texts as `spec` splits them and continue training; see `Tokenizer.extend`."""
    extender = _of(EXTENDERS, spec.kind, "extend: the tokenizer's algorithm must be")
    _check_options(extender, options, "extend: options")

    def count() -> WordCounts:
        counts = WordCounts.of_components(*counting_components(spec), num_threads)
        if isinstance(source, WordCounts):
            return counts.merge(source)
        return counts.count(source, text_field=text_field, progress=progress)

    return extender(spec, count, vocab_size=vocab_size, progress=progress, **options)


def counting_components(spec: _bindings.TokenizerSpec) -> tuple[str, str]:
    """Normaliser and pre-tokenizer under which text is counted to extend `spec`.

    SentencePiece's models see whole sentences; they are trained on words.
    """
    if '"type":"SentencePiece"' in spec.normalizer and spec.pre_tokenizer == "null":
        return spec.normalizer, _SENTENCEPIECE_WORDS
    return spec.normalizer, spec.pre_tokenizer


def _of(table: Mapping[str, SpecTrainer], algorithm: str, what: str) -> SpecTrainer:
    if algorithm not in table:
        names = ", ".join(repr(name) for name in table)
        raise ConfigError(f"{what} {names}, got {algorithm!r}")
    return table[algorithm]


def _check_options(function: SpecTrainer, options: dict[str, Any], what: str) -> None:
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise ConfigError(f"{what} must be of {', '.join(known)}, got {name!r}")
