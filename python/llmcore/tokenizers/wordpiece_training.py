"""Learn a WordPiece vocabulary from counted words."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict, Unpack

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.word_counts import Progress, WordCounts

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BERT_NORMALIZER = (
    '{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,'
    '"strip_accents":null,"lowercase":true}'
)
BERT_PRE_TOKENIZER = '{"type":"BertPreTokenizer"}'

_SCORES = ("count", "likelihood")


class WordPieceOptions(TypedDict, total=False):
    """Options of `train_wordpiece`, all but `vocab_size` optional.

    Attributes:
        vocab_size: Number of ids; fewer if no pair is left, more if the alphabet alone is larger.
        score: `"count"`, the default, merges the pair seen most often, as Hugging Face
            `tokenizers` does; `"likelihood"` the pair with the largest
            count(ab) / (count(a) count(b)), which raises the likelihood of the text the most.
        min_frequency: Pairs seen less often than this are not merged; 0.
        special_tokens: Texts of ids 0, 1, ..., `unk_token` among them; BERT's.
        unk_token: The token for words that the vocabulary cannot spell; "[UNK]".
        continuing_subword_prefix: Marks tokens inside a word; "##".
        limit_alphabet: Most characters kept, the most frequent ones; the others leave the words.
        initial_alphabet: Single characters kept whatever their count.
        max_token_length: Most characters of a merged token, as in `tokenizers`: two characters
            merge even for a limit below two.
        continuing_order: Single characters whose tokens inside words come first, in this order.
            `tokenizers` orders them by a hash that differs in every run; equal counts are settled
            by ids, so a run of it can be repeated only by giving its order here.
    """

    vocab_size: Required[int]
    score: str
    min_frequency: int
    special_tokens: Sequence[str]
    unk_token: str
    continuing_subword_prefix: str
    limit_alphabet: int
    initial_alphabet: Sequence[str]
    max_token_length: int
    continuing_order: Sequence[str]


def train_wordpiece(
    counter: _bindings.WordCounter,
    *,
    normalizer: str = BERT_NORMALIZER,
    pre_tokenizer: str = BERT_PRE_TOKENIZER,
    progress: Progress | None = None,
    **options: Unpack[WordPieceOptions],
) -> _bindings.TokenizerSpec:
    """Merge neighbouring tokens by score until the vocabulary is full.

    Ids: the special tokens, the characters kept by code point, the same inside words (with the
    prefix) by code point, then one per merge. The result depends on the counts alone.

    Args:
        counter: Counts of the words that `normalizer` and `pre_tokenizer` make of the text.
        normalizer: Component of the result, as JSON.
        pre_tokenizer: Component of the result, as JSON.
        progress: Called about ten times a second as `progress("merge", tokens, vocab_size)`.
        options: See `WordPieceOptions`.

    Raises:
        ConfigError: an option unknown or out of range; special tokens that repeat or lack
            `unk_token`; an alphabet entry that is not one character.

    Source: Schuster & Nakajima 2012, "Japanese and Korean voice search"; `tokenizers` 0.23.
    """
    check_wordpiece(options)
    given: dict[str, Any] = {**_USUAL, **options}
    unk_token: str = given.pop("unk_token")
    for name in _LISTS & given.keys():
        given[name] = list(given[name])
    given["likelihood"] = given.pop("score") == "likelihood"
    spec = _bindings.train_wordpiece(counter, given, unk_token, progress)
    if progress is not None:
        progress("merge", spec.vocab_size, given["vocab_size"])
    prefix = given.get("continuing_subword_prefix", "##")
    components = {
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": json.dumps({"type": "WordPiece", "prefix": prefix, "cleanup": True}),
    }
    specials = given["special_tokens"]
    if "[CLS]" in specials and "[SEP]" in specials:
        frame = {name: [text, specials.index(text)] for name, text in _FRAME.items()}
        components["post_processor"] = json.dumps({"type": "BertProcessing", **frame})
    return _bindings.with_components(spec, components)


_USUAL = {"special_tokens": BERT_SPECIAL_TOKENS, "score": "count", "unk_token": "[UNK]"}
_FRAME = {"sep": "[SEP]", "cls": "[CLS]"}
_LISTS = {"special_tokens", "initial_alphabet", "continuing_order"}
_LEAST = {"min_frequency": 0, "limit_alphabet": 1, "max_token_length": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class WordPieceExtension:
    """Options of `extend_wordpiece`.

    Attributes:
        vocab_size: Number of ids afterwards, added tokens included, or fewer.
        score: As in `WordPieceOptions`, over the new text.
        min_frequency: As in `WordPieceOptions`, over the new text.
        max_token_length: As in `WordPieceOptions`.
        limit_alphabet: Most characters of the new text, the most frequent ones, that get a token if
            they have none; words with the others stay unknown. None: all.
    """

    vocab_size: int
    score: str = "count"
    min_frequency: int = 0
    max_token_length: int | None = None
    limit_alphabet: int | None = None

    def check(self) -> None:
        """Refuse what cannot be, before any text is read.

        Raises:
            ConfigError: a value is out of range.
        """
        if self.score not in _SCORES:
            raise ConfigError(
                f"extend: score must be one of {', '.join(_SCORES)}, got {self.score!r}"
            )
        for name, least in (("min_frequency", 0), ("max_token_length", 1), ("limit_alphabet", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"extend: {name} must be at least {least}, got {value}")


def extend_wordpiece(
    spec: _bindings.TokenizerSpec,
    count: Callable[[], WordCounts],
    options: WordPieceExtension,
    progress: Progress | None = None,
) -> _bindings.TokenizerSpec:
    """Continue training from what the old vocabulary makes of each word.

    WordPiece keeps no merges, so the start is the encoder's own cut, longest match first, once the
    characters of the text that lack a token have one (by falling count; then the same with the
    prefix, where they stand inside words). Then pairs are merged as in training. Words that the
    encoder gives up on, unknown or too long, take no part.

    Args:
        spec: The tokenizer to extend.
        count: Gives the counted new text, split as `spec` does; called after the checks.
        options: How the vocabulary is to grow.
        progress: As in `train_wordpiece`.

    Raises:
        ConfigError: an option is out of range, or `vocab_size` too small for new characters.
    """
    options.check()
    values: dict[str, Any] = {
        "vocab_size": options.vocab_size,
        "likelihood": options.score == "likelihood",
        "min_frequency": options.min_frequency,
    }
    for name in ("max_token_length", "limit_alphabet"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    extended = _bindings.extend_wordpiece(spec, count().native, values, progress)
    if progress is not None:
        progress("merge", extended.vocab_size, options.vocab_size)
    return extended


def check_wordpiece(given: Mapping[str, Any]) -> None:
    """Refuse options that cannot be, before any text is read.

    Raises:
        ConfigError: as `train_wordpiece` does.
    """
    options = {**_USUAL, **given}
    if unknown := sorted(options.keys() - WordPieceOptions.__annotations__.keys()):
        raise ConfigError(f"train: options must be those of WordPiece, got {unknown[0]!r}")
    if "vocab_size" not in options:
        raise ConfigError("train: vocab_size must be given, got none")
    specials = list(options["special_tokens"])
    for name, least in {**_LEAST, "vocab_size": len(specials)}.items():
        if name in options and options[name] < least:
            raise ConfigError(f"train: {name} must be at least {least}, got {options[name]}")
    if options["score"] not in _SCORES:
        raise ConfigError(
            f"train: score must be one of {', '.join(_SCORES)}, got {options['score']!r}"
        )
    if len(set(specials)) != len(specials) or "" in specials:
        raise ConfigError(f"train: special_tokens must be distinct and not empty, got {specials}")
    if options["unk_token"] not in specials:
        raise ConfigError(
            f"train: special_tokens must hold unk_token {options['unk_token']!r}, got {specials}"
        )
