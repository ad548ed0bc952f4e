"""Learn a BPE vocabulary from word counts, or continue one."""

from collections.abc import Callable, Sequence
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
from llmcore.tokenizers.sources import TextSource
from llmcore.tokenizers.vocabulary import AddedToken, Vocabulary
from llmcore.tokenizers.word_counts import Progress, WordCounts, default_num_threads

__all__ = ["Progress", "default_num_threads", "extend_bpe", "train_bpe", "train_bpe_spec"]

TIE_BREAKS = ("ids", "bytes", "shortest")
_BYTE_VALUES = 256


def train_bpe_spec(
    count: Callable[[], WordCounts],
    *,
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
    progress: Progress | None = None,
    byte_level: bool = True,
    tie_break: str = "ids",
    max_token_length: int | None = None,
    byte_fallback: bool = False,
    unk_token: str | None = None,
    fuse_unk: bool = False,
    continuing_subword_prefix: str = "",
    end_of_word_suffix: str = "",
    initial_alphabet: Sequence[str] = (),
    limit_alphabet: int | None = None,
    character_coverage: float = 1.0,
    decoder: Component | None = None,
) -> _bindings.TokenizerSpec:
    """Merge the most frequent pair of neighbouring tokens until the vocabulary is full.

    Ids: the special tokens; the 256 bytes in the order of GPT-2's byte alphabet, or the <0x00> to
    <0xFF> of `byte_fallback` and the characters of the text by code point; one id per merge. No
    pair crosses a pre-token.

    Args:
        count: Gives the counted text; called once the arguments are known to be right.
        vocab_size: Number of ids, or fewer if the text has no pair left to merge.
        special_tokens: Texts of ids 0, 1, ...; recognised when encoding, if allowed.
        min_frequency: Pairs seen less often than this are not merged.
        progress: Called about ten times a second as `progress("merge", tokens, vocab_size)`.
        byte_level: Over bytes, which spells every text; else over characters.
        tie_break: Which of several pairs of equal count is merged: "ids", the one with the
            smaller left, then right id, as in Hugging Face `tokenizers` 0.23; "bytes", the one
            whose left, then right token is smaller byte by byte, whatever the order of the
            alphabet; "shortest", the one whose union has fewer characters, then the smaller
            union, as in SentencePiece.
        max_token_length: No merge makes a token of this many characters (bytes with `byte_level`)
            or more, but for two characters; as in `tokenizers`.
        byte_fallback: Characters without a token become bytes, <0x00> to <0xFF>.
        unk_token: Token of such characters otherwise; made a special token if it is none.
        fuse_unk: Neighbours of them share one.
        continuing_subword_prefix: Begins every token that does not begin a word ("##").
        end_of_word_suffix: Ends every token that ends a word ("</w>").
        initial_alphabet: Characters that get an id even if the text lacks them.
        limit_alphabet: Most characters of the alphabet; of the others, the rarest, words are
            trained on as if they were not there.
        character_coverage: Share of the text's characters that the alphabet must cover, in (0, 1];
            no merge passes one of the others.
        decoder: Component that joins tokens; by default what fits the rest.

    Raises:
        ConfigError: an argument is out of range, or `vocab_size` too small for the alphabet.

    Source: Sennrich et al. 2016, arXiv:1508.07909.
    """
    specials = list(special_tokens)
    if unk_token and unk_token not in specials:
        specials.insert(0, unk_token)
    for_characters = {
        "byte_fallback": byte_fallback,
        "unk_token": unk_token or "",
        "fuse_unk": fuse_unk,
        "continuing_subword_prefix": continuing_subword_prefix,
        "end_of_word_suffix": end_of_word_suffix,
        "initial_alphabet": list(initial_alphabet),
        "limit_alphabet": limit_alphabet,
    }
    if byte_level:
        _check_size(vocab_size, _BYTE_VALUES, specials)
        named = [name for name, value in for_characters.items() if value]
        if named or character_coverage != 1.0:
            raise ConfigError(
                f"train: {(named or ['character_coverage'])[0]} must go with byte_level=False, "
                "got byte_level=True"
            )
    _check_specials(specials)
    _check_common(min_frequency, tie_break, max_token_length)
    if not 0.0 < character_coverage <= 1.0:
        raise ConfigError(f"train: character_coverage must be in (0, 1], got {character_coverage}")
    if limit_alphabet is not None and limit_alphabet < 1:
        raise ConfigError(f"train: limit_alphabet must be at least 1, got {limit_alphabet}")
    counts = count()
    options: dict[str, Any] = for_characters | {
        "takes_counts": counts.is_temporary,
        "vocab_size": vocab_size,
        "special_tokens": specials,
        "min_frequency": min_frequency,
        "byte_level": byte_level,
        "tie_break": tie_break,
        "max_token_length": max_token_length,
        "character_coverage": character_coverage,
        "post_processor": BYTE_LEVEL_POST_PROCESSOR if byte_level else NONE,
        "decoder": component_json(decoder) if decoder else _decoder_of(counts, for_characters),
    }
    if byte_level and decoder is None:
        options["decoder"] = BYTE_LEVEL_DECODER
    spec = _bindings.train_bpe(counts.native, options, progress)
    if progress is not None:
        progress("merge", spec.vocab_size, vocab_size)
    return spec


def extend_bpe(
    spec: _bindings.TokenizerSpec,
    count: Callable[[], WordCounts],
    *,
    vocab_size: int,
    min_frequency: int = 0,
    progress: Progress | None = None,
    tie_break: str = "ids",
    max_token_length: int | None = None,
    character_coverage: float = 1.0,
) -> _bindings.TokenizerSpec:
    """Continue training: the old merges cut the words, new ones go on from there.

    Args:
        spec: The tokenizer to extend.
        count: Gives the counted new text, split as `spec` does; called after the checks.
        vocab_size: Number of ids afterwards, added tokens included, or fewer.
        min_frequency: As in `train_bpe_spec`, over the new text.
        progress: As in `train_bpe_spec`.
        tie_break: As in `train_bpe_spec`.
        max_token_length: As in `train_bpe_spec`.
        character_coverage: Of a vocabulary of characters: those that make up this share of the new
            text get an id if they have none; in [0, 1], 0 for none.

    Raises:
        ConfigError: an argument is out of range, or `vocab_size` too small for new characters.
    """
    _check_common(min_frequency, tie_break, max_token_length)
    if not 0.0 <= character_coverage <= 1.0:
        raise ConfigError(f"extend: character_coverage must be in [0, 1], got {character_coverage}")
    options: dict[str, Any] = {
        "vocab_size": vocab_size,
        "min_frequency": min_frequency,
        "tie_break": tie_break,
        "max_token_length": max_token_length,
        "character_coverage": character_coverage,
    }
    return _bindings.extend_bpe(spec, count().native, options, progress)


def train_bpe(
    source: TextSource,
    *,
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Vocabulary:
    """Learn a byte-level vocabulary with GPT-2's split pattern; see `train_bpe_spec`.

    Args:
        source: As in `Tokenizer.train`.
        vocab_size: As in `train_bpe_spec`.
        special_tokens: As in `train_bpe_spec`.
        min_frequency: As in `train_bpe_spec`.
        num_threads: Threads that count; None takes every processor of the process.
        progress: Called as `progress("count", characters_read, 0)` after each batch, then about
            ten times a second as `progress("merge", tokens, vocab_size)`.

    Raises:
        ConfigError: `vocab_size` is below 256 + the special tokens, or those repeat.
        DataError: `source` holds no text, or an item that is not valid text.
    """
    specials = list(special_tokens)

    def count() -> WordCounts:
        counts = WordCounts(num_threads=num_threads).count(source, progress=progress)
        counts.is_temporary = True
        return counts

    spec = train_bpe_spec(
        count,
        vocab_size=vocab_size,
        special_tokens=specials,
        min_frequency=min_frequency,
        progress=progress,
    ).to_dict()
    tokens: list[str] = spec["tokens"]
    added = tuple(AddedToken(id=i, content=text) for i, text in enumerate(specials))
    merges = [f"{tokens[left]} {tokens[right]}" for left, right in spec["merges"]]
    return Vocabulary(tokens=tokens, merges=merges, added_tokens=added)


def _decoder_of(counts: WordCounts, options: dict[str, Any]) -> str:
    if suffix := options["end_of_word_suffix"]:
        return component_json({"type": "BPEDecoder", "suffix": suffix})
    if prefix := options["continuing_subword_prefix"]:
        return component_json({"type": "WordPiece", "prefix": prefix, "cleanup": False})
    has_metaspace = '"Metaspace"' in counts.native.pre_tokenizer
    if options["byte_fallback"]:
        return METASPACE_BYTES_DECODER if has_metaspace else component_json("ByteFallback")
    return METASPACE_DECODER if has_metaspace else component_json("Fuse")


def _check_size(vocab_size: int, num_bytes: int, specials: list[str]) -> None:
    least = num_bytes + len(specials)
    if vocab_size < least:
        raise ConfigError(
            f"train: vocab_size must be at least {least} ({num_bytes} bytes + {len(specials)} "
            f"special tokens), got {vocab_size}"
        )


def _check_specials(specials: list[str]) -> None:
    if len(set(specials)) != len(specials) or "" in specials:
        raise ConfigError(f"train: special_tokens must be distinct and not empty, got {specials}")


def _check_common(min_frequency: int, tie_break: str, max_token_length: int | None) -> None:
    if min_frequency < 0:
        raise ConfigError(f"train: min_frequency must be at least 0, got {min_frequency}")
    if tie_break not in TIE_BREAKS:
        raise ConfigError(
            f"train: tie_break must be one of {', '.join(TIE_BREAKS)}, got {tie_break!r}"
        )
    if max_token_length is not None and max_token_length < 1:
        raise ConfigError(f"train: max_token_length must be at least 1, got {max_token_length}")
