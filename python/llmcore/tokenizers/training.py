"""Train a tokenizer of any algorithm, and extend one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.bpe_training import BpeExtension, BpeOptions, extend_bpe, train_bpe_spec
from llmcore.tokenizers.components import (
    SENTENCEPIECE_NORMALIZER,
    SENTENCEPIECE_RUNS_SPLIT,
    SENTENCEPIECE_SPLIT,
    Component,
    component_json,
    pre_tokenizer_json,
)
from llmcore.tokenizers.sources import TextSource
from llmcore.tokenizers.word_counts import Progress, WordCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Algorithm:
    """A way to train or to extend.

    Attributes:
        options: Dataclass of its keywords, `vocab_size` among them.
        run: To train, called with a function that counts the text, the options and `progress`; to
            extend, with the specification before these. Returns a specification.
        over_bytes: Whether `options` has the properties `over_bytes` and `sentencepiece`, which
            decide how texts are split if nothing else does.
    """

    options: type[Any]
    run: Callable[..., _bindings.TokenizerSpec]
    over_bytes: bool = False


TRAINERS: Mapping[str, Algorithm] = MappingProxyType(
    {"bpe": Algorithm(options=BpeOptions, run=train_bpe_spec, over_bytes=True)}
)
EXTENDERS: Mapping[str, Algorithm] = MappingProxyType(
    {"bpe": Algorithm(options=BpeExtension, run=extend_bpe)}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How texts are read, normalised and split.

    Attributes:
        pattern: Split pattern: a known name ("gpt2", "cl100k_base", "o200k_base", "llama3",
            "qwen2", ...) or a regular expression.
        normalizer: What texts go through first: a component of `tokenizer.json` as a dict or as
            JSON, or the name of one without options ("NFC").
        pre_tokenizer: The same of what splits texts, instead of `pattern`.
        text_field: Field of JSONL rows, column of Parquet files.
        num_threads: Threads that count; None takes every processor of the process.
    """

    pattern: str | None = None
    normalizer: Component | None = None
    pre_tokenizer: Component | None = None
    text_field: str = "text"
    num_threads: int | None = None


def train_spec(
    source: TextSource | WordCounts,
    algorithm: str,
    progress: Progress | None,
    keywords: Mapping[str, Any],
) -> _bindings.TokenizerSpec:
    """Count the texts and train.

    Args:
        source: As in `Tokenizer.train`.
        algorithm: A key of `TRAINERS`.
        progress: As in `Tokenizer.train`.
        keywords: Fields of `Reading` and of the algorithm's options.

    Raises:
        ConfigError: no such algorithm or keyword, or a value is out of range.
        DataError: `source` holds no text, or what is not text.
    """
    trainer = _of(TRAINERS, algorithm, "train: algorithm must be")
    reading, options = _shared_out(keywords, trainer, f"train: keywords of {algorithm!r}")
    byte_level = trainer.over_bytes and options.over_bytes
    if isinstance(source, WordCounts):
        if reading != Reading():
            raise ConfigError("train: source must be text where it is to be split, got WordCounts")
        if ('"ByteLevel"' in source.native.pre_tokenizer) != byte_level:
            raise ConfigError(
                f"train: the counts must have been made with byte_level={byte_level}, got "
                f"{not byte_level}"
            )
        return trainer.run(lambda: source, options, progress)
    if trainer.over_bytes and options.sentencepiece:
        normalizer, splits = _sentencepiece_components(reading)
    else:
        normalizer = component_json(reading.normalizer)
        splits = pre_tokenizer_json(reading.pattern, reading.pre_tokenizer, byte_level=byte_level)

    def count() -> WordCounts:
        counts = WordCounts.of_components(normalizer, splits, reading.num_threads)
        counts.is_temporary = True
        return counts.count(source, text_field=reading.text_field, progress=progress)

    return trainer.run(count, options, progress)


def extend_spec(
    spec: _bindings.TokenizerSpec,
    source: TextSource | WordCounts,
    progress: Progress | None,
    keywords: Mapping[str, Any],
) -> _bindings.TokenizerSpec:
    """Count the new texts as `spec` splits them and continue training.

    Args:
        spec: The tokenizer to extend.
        source: As in `Tokenizer.extend`.
        progress: As in `Tokenizer.extend`.
        keywords: Fields of the extension's options, `text_field` and `num_threads`.

    Raises:
        ConfigError: no way to extend this algorithm, no such keyword, or a value is out of range.
        DataError: `source` holds no text, or what is not text.
    """
    extender = _of(EXTENDERS, spec.kind, "extend: the tokenizer's algorithm must be")
    reading, options = _shared_out(keywords, extender, "extend: keywords")
    if reading != Reading(text_field=reading.text_field, num_threads=reading.num_threads):
        raise ConfigError("extend: texts must be split as the tokenizer does, got another way")

    def count() -> WordCounts:
        counts = WordCounts.of_components(*counting_components(spec), reading.num_threads)
        if isinstance(source, WordCounts):
            return counts.merge(source)
        return counts.count(source, text_field=reading.text_field, progress=progress)

    return extender.run(spec, count, options, progress)


def counting_components(spec: _bindings.TokenizerSpec) -> tuple[str, str]:
    """Normaliser and pre-tokenizer under which text is counted to extend `spec`.

    SentencePiece's models see whole sentences; they are trained on words.
    """
    if '"type":"SentencePiece"' in spec.normalizer and spec.pre_tokenizer == "null":
        return spec.normalizer, SENTENCEPIECE_RUNS_SPLIT
    return spec.normalizer, spec.pre_tokenizer


def _sentencepiece_components(reading: Reading) -> tuple[str, str]:
    if reading.pattern is not None or reading.pre_tokenizer is not None:
        raise ConfigError("train: sentencepiece=True must go without another split, got one")
    normalizer = SENTENCEPIECE_NORMALIZER
    if reading.normalizer is not None:
        normalizer = component_json(reading.normalizer)
        if json.loads(normalizer).get("type") != "SentencePiece":
            raise ConfigError(
                f"train: normalizer must be of type SentencePiece, got {normalizer[:100]}"
            )
    return normalizer, SENTENCEPIECE_SPLIT


def _of(table: Mapping[str, Algorithm], algorithm: str, what: str) -> Algorithm:
    if algorithm not in table:
        names = ", ".join(repr(name) for name in table)
        raise ConfigError(f"{what} {names}, got {algorithm!r}")
    return table[algorithm]


def _shared_out(
    keywords: Mapping[str, Any], algorithm: Algorithm, what: str
) -> tuple[Reading, Any]:
    reading = {field.name for field in fields(Reading)}
    own = {field.name for field in fields(algorithm.options)}
    for name in keywords:
        if name not in reading | own:
            raise ConfigError(f"{what} must be of {', '.join(sorted(reading | own))}, got {name!r}")
    return (
        Reading(**{name: value for name, value in keywords.items() if name in reading}),
        algorithm.options(**{name: value for name, value in keywords.items() if name in own}),
    )
