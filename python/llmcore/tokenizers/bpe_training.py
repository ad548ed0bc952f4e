"""Learn a BPE vocabulary from word counts, or continue one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.components import (
    BYTE_LEVEL_DECODER,
    BYTE_LEVEL_POST_PROCESSOR,
    METASPACE_BYTES_DECODER,
    METASPACE_DECODER,
    NONE,
    Component,
    component_json,
)
from llmcore.tokenizers.word_counts import Progress, WordCounts

TIE_BREAKS = ("ids", "bytes", "shortest")
_BYTE_VALUES = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class BpeOptions:
    """What a BPE vocabulary is to be.

    Ids: the special tokens; the 256 bytes in the order of GPT-2's byte alphabet, or the <0x00> to
    <0xFF> of `byte_fallback` and the characters of the text by code point; one id per merge.

    Attributes:
        vocab_size: Number of ids, or fewer if the text has no pair left to merge.
        special_tokens: Texts of ids 0, 1, ...; recognised when encoding, if allowed.
        min_frequency: Pairs seen less often than this are not merged.
        byte_level: Over bytes, which spells every text; else over characters.
        tie_break: Which of several pairs of equal count is merged: "ids", the one with the
            smaller left, then right id, as in Hugging Face `tokenizers` 0.23; "bytes", the one
            whose left, then right token is smaller byte by byte, whatever the order of the
            alphabet; "shortest", the one whose union has fewer characters, then the smaller
            union, as in SentencePiece.
        max_token_length: No merge makes a token of this many characters (bytes with `byte_level`)
            or more, but for two of the alphabet; as in `tokenizers`.
        byte_fallback: Characters without a token become bytes, <0x00> to <0xFF>.
        unk_token: Token of such characters otherwise; made a special token if it is none.
        fuse_unk: Neighbours of them share one.
        continuing_subword_prefix: Begins every token that does not begin a word ("##").
        end_of_word_suffix: Ends every token that ends a word ("</w>").
        initial_alphabet: Characters that get an id even if the text lacks them.
        limit_alphabet: Most characters of the alphabet; words are trained on as if the others, the
            rarest, were not there.
        character_coverage: Share of the text's characters that the alphabet must cover, in (0, 1];
            no merge passes one of the others.
        decoder: Component that joins tokens; by default what fits the rest.
        sentencepiece: Train as SentencePiece 0.2.3 does, for a `.model`: over the characters of
            words that begin with U+2581, normalised by its normaliser (without charsmap, unless
            `normalizer` is one of type "SentencePiece"), every piece once, ties by "shortest". Ids:
            <unk>, <s>, </s>, the special tokens, bytes, merges, characters. It goes with
            `vocab_size`, `special_tokens`, `byte_fallback`, `character_coverage` (0.9995 there)
            and `max_token_length`, which is inclusive here and 16 by default.
        split_by_unicode_script: With `sentencepiece`: no piece has characters of two scripts.
        split_by_number: With `sentencepiece`: digits are a script of their own.
        split_digits: With `sentencepiece`: every digit is a piece of its own.
    """

    vocab_size: int
    special_tokens: Sequence[str] = ()
    min_frequency: int = 0
    byte_level: bool = True
    tie_break: str = "ids"
    max_token_length: int | None = None
    byte_fallback: bool = False
    unk_token: str = ""
    fuse_unk: bool = False
    continuing_subword_prefix: str = ""
    end_of_word_suffix: str = ""
    initial_alphabet: Sequence[str] = ()
    limit_alphabet: int | None = None
    character_coverage: float = 1.0
    decoder: Component | None = None
    sentencepiece: bool = False
    split_by_unicode_script: bool = True
    split_by_number: bool = True
    split_digits: bool = False

    @property
    def over_bytes(self) -> bool:
        """Whether the vocabulary is one of bytes."""
        return self.byte_level and not self.sentencepiece

    @property
    def specials(self) -> list[str]:
        """The special tokens, the unknown one included."""
        missing = [self.unk_token] if self.unk_token not in ("", *self.special_tokens) else []
        return [*missing, *self.special_tokens]

    def check(self) -> None:
        """Refuse what cannot be, before any text is read.

        Raises:
            ConfigError: a value is out of range, or does not go with another.
        """
        _check_merging(self)
        specials = self.specials
        if len(set(specials)) != len(specials) or "" in specials:
            raise ConfigError(
                f"train: special_tokens must be distinct and not empty, got {specials}"
            )
        if not 0.0 < self.character_coverage <= 1.0:
            raise ConfigError(
                f"train: character_coverage must be in (0, 1], got {self.character_coverage}"
            )
        if self.limit_alphabet is not None and self.limit_alphabet < 1:
            raise ConfigError(
                f"train: limit_alphabet must be at least 1, got {self.limit_alphabet}"
            )
        if self.sentencepiece:
            self._check_unused("sentencepiece=False", _NOT_FOR_SENTENCEPIECE)
        else:
            self._check_unused("sentencepiece=True", _FOR_SENTENCEPIECE)
        if self.over_bytes:
            self._check_byte_level()

    def _check_unused(self, wanted: str, names: Sequence[str]) -> None:
        usual = BpeOptions(vocab_size=self.vocab_size)
        for name in names:
            if getattr(self, name) != getattr(usual, name):
                raise ConfigError(
                    f"train: {name} must go with {wanted}, got {getattr(self, name)!r}"
                )

    def _check_byte_level(self) -> None:
        least = _BYTE_VALUES + len(self.specials)
        if self.vocab_size < least:
            raise ConfigError(
                f"train: vocab_size must be at least {least} ({_BYTE_VALUES} bytes + "
                f"{len(self.specials)} special tokens), got {self.vocab_size}"
            )
        self._check_unused("byte_level=False", _FOR_CHARACTERS)


_FOR_CHARACTERS = (
    "byte_fallback",
    "unk_token",
    "fuse_unk",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "initial_alphabet",
    "limit_alphabet",
    "character_coverage",
)
_FOR_SENTENCEPIECE = ("split_by_unicode_script", "split_by_number", "split_digits")
_NOT_FOR_SENTENCEPIECE = (
    "min_frequency",
    "tie_break",
    "unk_token",
    "fuse_unk",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "initial_alphabet",
    "limit_alphabet",
    "decoder",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BpeExtension:
    """How a BPE vocabulary is to grow.

    Attributes:
        vocab_size: Number of ids afterwards, added tokens included, or fewer.
        min_frequency: As in `BpeOptions`, over the new text.
        tie_break: As in `BpeOptions`.
        max_token_length: As in `BpeOptions`.
        character_coverage: Of a vocabulary of characters: those that make up this share of the new
            text get an id if they have none; in [0, 1], 0 for none. ASCII characters that fall
            back to bytes do without.
    """

    vocab_size: int
    min_frequency: int = 0
    tie_break: str = "ids"
    max_token_length: int | None = None
    character_coverage: float = 1.0

    def check(self) -> None:
        """Refuse what cannot be, before any text is read.

        Raises:
            ConfigError: a value is out of range.
        """
        _check_merging(self)
        if not 0.0 <= self.character_coverage <= 1.0:
            raise ConfigError(
                f"extend: character_coverage must be in [0, 1], got {self.character_coverage}"
            )


def train_bpe_spec(
    count: Callable[[], WordCounts], options: BpeOptions, progress: Progress | None = None
) -> _bindings.TokenizerSpec:
    """Merge the most frequent pair of neighbouring tokens until the vocabulary is full.

    No pair crosses a pre-token.

    Args:
        count: Gives the counted text; called once the options are known to be right.
        options: What the vocabulary is to be.
        progress: Called about ten times a second as `progress("merge", tokens, vocab_size)`.

    Raises:
        ConfigError: an option is out of range, or `vocab_size` too small for the alphabet.

    Source: Sennrich et al. 2016, arXiv:1508.07909.
    """
    options.check()
    counts = count()
    values: dict[str, Any] = {name: getattr(options, name) for name in _FOR_CHARACTERS}
    values |= {
        "initial_alphabet": list(options.initial_alphabet),
        "vocab_size": options.vocab_size,
        "special_tokens": options.specials,
        "min_frequency": options.min_frequency,
        "byte_level": options.over_bytes,
        "tie_break": options.tie_break,
        "max_token_length": options.max_token_length,
        "post_processor": BYTE_LEVEL_POST_PROCESSOR if options.over_bytes else NONE,
        "decoder": _decoder_of(options, counts.native.pre_tokenizer),
        "takes_counts": counts.is_temporary,
    }
    values |= {name: getattr(options, name) for name in _FOR_SENTENCEPIECE}
    train = _bindings.train_sentencepiece_bpe if options.sentencepiece else _bindings.train_bpe
    spec = train(counts.native, values, progress)
    if progress is not None:
        progress("merge", spec.vocab_size, options.vocab_size)
    return spec


def extend_bpe(
    spec: _bindings.TokenizerSpec,
    count: Callable[[], WordCounts],
    options: BpeExtension,
    progress: Progress | None = None,
) -> _bindings.TokenizerSpec:
    """Continue training: the old merges cut the words, new ones go on from there.

    Args:
        spec: The tokenizer to extend.
        count: Gives the counted new text, split as `spec` does; called after the checks.
        options: How the vocabulary is to grow.
        progress: As in `train_bpe_spec`.

    Raises:
        ConfigError: an option is out of range, or `vocab_size` too small for new characters.
    """
    options.check()
    values: dict[str, Any] = {
        "vocab_size": options.vocab_size,
        "min_frequency": options.min_frequency,
        "tie_break": options.tie_break,
        "max_token_length": options.max_token_length,
        "character_coverage": options.character_coverage,
    }
    return _bindings.extend_bpe(spec, count().native, values, progress)


def _decoder_of(options: BpeOptions, pre_tokenizer: str) -> str:
    if options.decoder is not None:
        return component_json(options.decoder)
    if options.over_bytes:
        return BYTE_LEVEL_DECODER
    if suffix := options.end_of_word_suffix:
        return component_json({"type": "BPEDecoder", "suffix": suffix})
    if prefix := options.continuing_subword_prefix:
        return component_json({"type": "WordPiece", "prefix": prefix, "cleanup": False})
    has_metaspace = '"Metaspace"' in pre_tokenizer
    if options.byte_fallback:
        return METASPACE_BYTES_DECODER if has_metaspace else component_json("ByteFallback")
    return METASPACE_DECODER if has_metaspace else component_json("Fuse")


def _check_merging(options: BpeOptions | BpeExtension) -> None:
    if options.min_frequency < 0:
        raise ConfigError(f"train: min_frequency must be at least 0, got {options.min_frequency}")
    if options.tie_break not in TIE_BREAKS:
        raise ConfigError(
            f"train: tie_break must be one of {', '.join(TIE_BREAKS)}, got {options.tie_break!r}"
        )
    if options.max_token_length is not None and options.max_token_length < 1:
        raise ConfigError(
            f"train: max_token_length must be at least 1, got {options.max_token_length}"
        )
