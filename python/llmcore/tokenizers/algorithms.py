"""The ways to train a tokenizer and to extend one, by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.bpe_training import BpeExtension, BpeOptions, extend_bpe, train_bpe_spec
from llmcore.tokenizers.components import (
    NONE,
    SENTENCEPIECE_NORMALIZER,
    SENTENCEPIECE_SPLIT,
    Component,
    component_json,
    pre_tokenizer_json,
)
from llmcore.tokenizers.unigram_training import (
    UnigramExtension,
    UnigramOptions,
    extend_unigram,
    sentencepiece_normalizer,
    train_unigram,
)
from llmcore.tokenizers.word_counts import Progress, WordCounts, default_num_threads
from llmcore.tokenizers.wordpiece_training import (
    BERT_NORMALIZER,
    BERT_PRE_TOKENIZER,
    WordPieceExtension,
    WordPieceOptions,
    check_wordpiece,
    extend_wordpiece,
    train_wordpiece,
)

Count = Callable[[], WordCounts]
"""Gives the counted text; called once the options are known to be right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How texts are read, normalised and split.

    Attributes:
        pattern: Split pattern: a known name ("gpt2", "cl100k_base", "o200k_base", "llama3",
            "qwen2", ...) or a regular expression.
        normalizer: What texts go through first: a component of `tokenizer.json` as a dict or as
            JSON, or the name of one without options ("NFC"). Unigram: the name of SentencePiece's
            rules, "nmt_nfkc", "nfkc" or "identity".
        pre_tokenizer: The same of what splits texts, instead of `pattern`.
        text_field: Field of JSONL rows, column of Parquet files.
        num_threads: Threads; None takes every processor of the process.
    """

    pattern: str | None = None
    normalizer: Component | None = None
    pre_tokenizer: Component | None = None
    text_field: str = "text"
    num_threads: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trainer:
    """A way to train.

    Attributes:
        options: Type of its keywords, `vocab_size` among them: a dataclass or a TypedDict.
        components: Normaliser and pre-tokenizer, as JSON, under which text is counted.
        run: Trains on what `Count` gives; refuses wrong options before it calls that.
    """

    options: type[Any]
    components: Callable[[Any, Reading], tuple[str, str]]
    run: Callable[[Count, Any, Reading, Progress | None], _bindings.TokenizerSpec]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extender:
    """A way to extend: `run` is called with the specification, `Count`, options and `progress`."""

    options: type[Any]
    run: Callable[..., _bindings.TokenizerSpec]


def _bpe_components(options: BpeOptions, reading: Reading) -> tuple[str, str]:
    if not options.sentencepiece:
        splits = pre_tokenizer_json(
            reading.pattern, reading.pre_tokenizer, byte_level=options.over_bytes
        )
        return component_json(reading.normalizer), splits
    _refuse_split(reading, "sentencepiece=True")
    if reading.normalizer is None:
        return SENTENCEPIECE_NORMALIZER, SENTENCEPIECE_SPLIT
    normalizer = component_json(reading.normalizer)
    if json.loads(normalizer).get("type") != "SentencePiece":
        raise ConfigError(
            f"train: normalizer must be of type SentencePiece, got {normalizer[:100]}"
        )
    return normalizer, SENTENCEPIECE_SPLIT


def _train_bpe(
    count: Count, options: BpeOptions, reading: Reading, progress: Progress | None
) -> _bindings.TokenizerSpec:
    del reading
    return train_bpe_spec(count, options, progress)


def _wordpiece_components(options: WordPieceOptions, reading: Reading) -> tuple[str, str]:
    del options
    normalizer = BERT_NORMALIZER
    if reading.normalizer is not None:
        normalizer = component_json(reading.normalizer)
    if reading.pattern is None and reading.pre_tokenizer is None:
        return normalizer, BERT_PRE_TOKENIZER
    return normalizer, pre_tokenizer_json(reading.pattern, reading.pre_tokenizer, byte_level=False)


def _train_wordpiece(
    count: Count, options: WordPieceOptions, reading: Reading, progress: Progress | None
) -> _bindings.TokenizerSpec:
    del reading
    check_wordpiece(options)
    counter = count().native
    return train_wordpiece(
        counter,
        normalizer=counter.normalizer,
        pre_tokenizer=counter.pre_tokenizer,
        progress=progress,
        **options,
    )


class UnigramKeywords(UnigramOptions, total=False):
    """Options of Unigram; `special_tokens` is another name of `control_symbols`."""

    special_tokens: list[str]


_SHAPING = ("add_dummy_prefix", "remove_extra_whitespaces", "treat_whitespace_as_suffix",
            "user_defined_symbols")  # fmt: skip


def _rules(reading: Reading) -> str:
    if reading.normalizer is None:
        return "nmt_nfkc"
    if isinstance(reading.normalizer, str):
        return reading.normalizer
    raise ConfigError("train: normalizer of 'unigram' must be a name of SentencePiece's rules")


def _unigram_components(options: UnigramKeywords, reading: Reading) -> tuple[str, str]:
    _refuse_split(reading, "'unigram'")
    shaping: dict[str, Any] = {name: options[name] for name in _SHAPING if name in options}  # type: ignore[literal-required]
    normalizer = sentencepiece_normalizer(_rules(reading), **shaping)
    # Words where each is sure to be one: there are fewer distinct ones than sentences.
    cuts = options.get("split_by_whitespace", True)
    whole = options.get("treat_whitespace_as_suffix") or options.get("allow_whitespace_only_pieces")
    return normalizer, SENTENCEPIECE_SPLIT if cuts and not whole else NONE


def _train_unigram(
    count: Count, options: UnigramKeywords, reading: Reading, progress: Progress | None
) -> _bindings.TokenizerSpec:
    own: Any = dict(options)
    own["control_symbols"] = [*own.get("control_symbols", ()), *own.pop("special_tokens", ())]
    return train_unigram(
        count().native,
        normalizer=_rules(reading),
        num_threads=reading.num_threads or default_num_threads(),
        progress=progress,
        **own,
    )


def _refuse_split(reading: Reading, what: str) -> None:
    if reading.pattern is not None or reading.pre_tokenizer is not None:
        raise ConfigError(f"train: {what} must go without another split, got one")


TRAINERS: Mapping[str, Trainer] = MappingProxyType(
    {
        "bpe": Trainer(options=BpeOptions, components=_bpe_components, run=_train_bpe),
        "wordpiece": Trainer(
            options=WordPieceOptions, components=_wordpiece_components, run=_train_wordpiece
        ),
        "unigram": Trainer(
            options=UnigramKeywords, components=_unigram_components, run=_train_unigram
        ),
    }
)
EXTENDERS: Mapping[str, Extender] = MappingProxyType(
    {
        "bpe": Extender(options=BpeExtension, run=extend_bpe),
        "wordpiece": Extender(options=WordPieceExtension, run=extend_wordpiece),
        "unigram": Extender(options=UnigramExtension, run=extend_unigram),
    }
)
