"""Train a tokenizer of any algorithm, and extend one."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.algorithms import EXTENDERS, TRAINERS, Extender, Reading, Trainer
from llmcore.tokenizers.components import (
    NONE,
    SENTENCEPIECE_RUNS_SPLIT,
    SENTENCEPIECE_SPLIT,
)
from llmcore.tokenizers.sources import TextSource
from llmcore.tokenizers.word_counts import Progress, WordCounts


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
        ConfigError: no such algorithm or keyword, a value is out of range, or counts that were
            made under another normaliser or split.
        DataError: `source` holds no text, or what is not text.
    """
    trainer: Trainer = _of(TRAINERS, algorithm, "train: algorithm must be")
    reading, options = _shared_out(keywords, trainer.options, f"train: keywords of {algorithm!r}")
    if isinstance(source, WordCounts):
        _check_counts(source, trainer, reading, options)
        return trainer.run(lambda: source, options, reading, progress)

    def count() -> WordCounts:
        counts = _no_counts(trainer, reading, options)
        counts.is_temporary = True
        return counts.count(source, text_field=reading.text_field, progress=progress)

    return trainer.run(count, options, reading, progress)


def counts_for(algorithm: str, **keywords: Any) -> WordCounts:
    """Begin to count text for `Tokenizer.train(counts, algorithm=algorithm, ...)`.

    Args:
        algorithm: "bpe", "wordpiece" or "unigram".
        keywords: Those of the training that decide how text is read, normalised and split:
            `pattern`, `normalizer`, `pre_tokenizer`, `num_threads`, and of the algorithm's own
            `byte_level`, `sentencepiece`, `add_dummy_prefix` and the like. Others do no harm.

    Raises:
        ConfigError: no such algorithm or keyword.
        DataError: a component does not exist.
    """
    trainer: Trainer = _of(TRAINERS, algorithm, "train: algorithm must be")
    given = {"vocab_size": 0} | keywords
    reading, options = _shared_out(given, trainer.options, f"train: keywords of {algorithm!r}")
    return _no_counts(trainer, reading, options)


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
    extender: Extender = _of(EXTENDERS, spec.kind, "extend: the tokenizer's algorithm must be")
    reading, options = _shared_out(keywords, extender.options, "extend: keywords")
    if reading != Reading(text_field=reading.text_field, num_threads=reading.num_threads):
        raise ConfigError("extend: texts must be split as the tokenizer does, got another way")

    def count() -> WordCounts:
        normalizer, splits = counting_components(spec)
        if isinstance(source, WordCounts) and spec.kind == "unigram" and _sees_sentences(spec):
            # Its extension cuts what is left whole; `counts_for` leaves some whole.
            given = source.native.pre_tokenizer
            splits = given if given in (SENTENCEPIECE_SPLIT, NONE) else splits
        counts = WordCounts.of_components(normalizer, splits, reading.num_threads)
        if isinstance(source, WordCounts):
            return counts.merge(source)
        return counts.count(source, text_field=reading.text_field, progress=progress)

    return extender.run(spec, count, options, progress)


def counting_components(spec: _bindings.TokenizerSpec) -> tuple[str, str]:
    """Normaliser and pre-tokenizer under which text is counted to extend `spec`.

    SentencePiece's models see whole sentences; they are trained on words. Those of a Unigram that
    has its spaces behind words are found in whole sentences later.
    """
    if not _sees_sentences(spec):
        return spec.normalizer, spec.pre_tokenizer
    if spec.kind == "unigram" and '"treat_whitespace_as_suffix":true' in spec.normalizer:
        return spec.normalizer, NONE
    if spec.kind == "unigram" and '"remove_extra_whitespaces":true' in spec.normalizer:
        return spec.normalizer, SENTENCEPIECE_SPLIT
    return spec.normalizer, SENTENCEPIECE_RUNS_SPLIT


def _sees_sentences(spec: _bindings.TokenizerSpec) -> bool:
    return '"type":"SentencePiece"' in spec.normalizer and spec.pre_tokenizer == "null"


def _no_counts(trainer: Trainer, reading: Reading, options: Any) -> WordCounts:
    return WordCounts.of_components(*trainer.components(options, reading), reading.num_threads)


def _check_counts(counts: WordCounts, trainer: Trainer, reading: Reading, options: Any) -> None:
    """Counts say themselves how text was split; what the caller says must not contradict them."""
    expected = _no_counts(trainer, reading, options).native
    usual = Reading(num_threads=reading.num_threads)
    names = [
        name
        for name, given in (
            ("normalizer", reading.normalizer != usual.normalizer),
            ("pre_tokenizer", (reading.pattern, reading.pre_tokenizer) != (None, None)),
        )
        if given or trainer is not TRAINERS["bpe"]
    ]
    for name in names:
        wanted, got = getattr(expected, name), getattr(counts.native, name)
        if wanted != got:
            raise ConfigError(
                f"train: {name} of the counts must be {wanted[:200]}, got {got[:200]}"
            )
    over_bytes = trainer is TRAINERS["bpe"] and options.over_bytes
    if ('"ByteLevel"' in counts.native.pre_tokenizer) != over_bytes:
        raise ConfigError(
            f"train: the counts must have been made with byte_level={over_bytes}, got "
            f"{not over_bytes}"
        )


def _of(table: Mapping[str, Any], algorithm: str, what: str) -> Any:
    if algorithm not in table:
        names = ", ".join(repr(name) for name in table)
        raise ConfigError(f"{what} {names}, got {algorithm!r}")
    return table[algorithm]


def _shared_out(keywords: Mapping[str, Any], options: type[Any], what: str) -> tuple[Reading, Any]:
    reading = {field.name for field in fields(Reading)}
    own = set(options.__annotations__)
    for base in getattr(options, "__orig_bases__", ()):
        own |= set(getattr(base, "__annotations__", ()))
    for name in keywords:
        if name not in reading | own:
            raise ConfigError(f"{what} must be of {', '.join(sorted(reading | own))}, got {name!r}")
    return (
        Reading(**{name: value for name, value in keywords.items() if name in reading}),
        options(**{name: value for name, value in keywords.items() if name in own}),
    )
