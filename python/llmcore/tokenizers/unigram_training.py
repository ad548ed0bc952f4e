"""Learn a Unigram vocabulary from counted words, with sentencepiece's options."""

import base64
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, Unpack

from llmcore import _bindings
from llmcore.errors import ConfigError
from llmcore.tokenizers.word_counts import Progress, WordCounts, default_num_threads

SPACE_MARK = "\u2581"
"""Stands for a space in words and pieces."""

NORMALIZERS = ("nmt_nfkc", "nfkc", "identity")
"""Names of sentencepiece's normalisation rules that can be made here."""


class UnigramOptions(TypedDict, total=False):
    """Options of `train_unigram`, all optional, named as sentencepiece names them.

    Attributes:
        vocab_size: Number of ids; 8000.
        hard_vocab_limit: Refuse a text with too few pieces (True); else the vocabulary is smaller.
        character_coverage: Share of the text's characters, 0.98 to 1, that pieces must spell; the
            rarest ones beyond it become unknown. 0.9995.
        required_chars: Characters that get a piece whatever their count.
        seed_sentencepiece_size: Most substrings to start from; 1,000,000.
        shrinking_factor: Share of the pieces, 0.5 to 0.95, that one pruning keeps; 0.75.
        num_sub_iterations: Steps of EM, 1 to 10, before each pruning; 2.
        max_sentencepiece_length: Most characters of a piece, 1 to 512; 16.
        split_by_unicode_script: No piece holds characters of two scripts; kana and Han are one.
            True.
        split_by_number: A digit counts as a script of its own (True); else it joins any.
        split_digits: A digit is a piece of its own; False.
        split_by_whitespace: No piece crosses a space; True.
        treat_whitespace_as_suffix: U+2581 ends a piece instead of beginning it; False.
        allow_whitespace_only_pieces: Runs of U+2581 may be pieces; False.
        control_symbols: Pieces that no text gives.
        user_defined_symbols: Pieces that always stand for themselves in a text.
        byte_fallback: 256 pieces <0x00> to <0xFF> for characters without a piece; False.
        unk_id: Id of the unknown piece; 0.
        bos_id: Id of the piece that begins a text; 1, or -1: none.
        eos_id: Id of the piece that ends a text; 2, or -1: none.
        pad_id: Id of the padding piece; -1: none.
        unk_piece: Text of that piece; "<unk>".
        bos_piece: Text of that piece; "<s>".
        eos_piece: Text of that piece; "</s>".
        pad_piece: Text of that piece; "<pad>".
        unk_surface: What an unknown piece decodes to; " \u2047 ".
        add_dummy_prefix: The normaliser adds a space in front of a text; True.
        remove_extra_whitespaces: The normaliser drops repeated and outer spaces; True.
    """

    vocab_size: int
    hard_vocab_limit: bool
    character_coverage: float
    required_chars: str
    seed_sentencepiece_size: int
    shrinking_factor: float
    num_sub_iterations: int
    max_sentencepiece_length: int
    split_by_unicode_script: bool
    split_by_number: bool
    split_digits: bool
    split_by_whitespace: bool
    treat_whitespace_as_suffix: bool
    allow_whitespace_only_pieces: bool
    control_symbols: Sequence[str]
    user_defined_symbols: Sequence[str]
    byte_fallback: bool
    unk_id: int
    bos_id: int
    eos_id: int
    pad_id: int
    unk_piece: str
    bos_piece: str
    eos_piece: str
    pad_piece: str
    unk_surface: str
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def train_unigram(
    counter: _bindings.WordCounter,
    *,
    normalizer: str = "nmt_nfkc",
    num_threads: int = 1,
    progress: Progress | None = None,
    **options: Unpack[UnigramOptions],
) -> _bindings.TokenizerSpec:
    """Start from the substrings that cover the most text; re-estimate and prune in turns.

    Ids: unknown, bos, eos and pad where given, control, user-defined and byte pieces in the ids
    left free, then the learned pieces, best score first. The result depends on the counts alone,
    not on their order or on `num_threads`.

    Args:
        counter: Counts of words, or of whole sentences, that `sentencepiece_normalizer` has been
            through: every space is U+2581. With `split_by_whitespace` sentences are cut here.
        normalizer: Rules that the counted text has been through: `"nmt_nfkc"`, `"nfkc"` or
            `"identity"`.
        num_threads: Threads of EM and pruning.
        progress: Called about ten times a second as `progress("prune", pieces, vocab_size)`.
        options: See `UnigramOptions`.

    Returns:
        A tokenizer as data with float32 scores, which also makes a SentencePiece `.model`.

    Raises:
        ConfigError: an option unknown or out of range, symbols that repeat, or a vocabulary size
            that the text's characters exceed or its pieces do not fill.
        DataError: no words, or words that hold a space.

    Source: Kudo 2018, arXiv:1804.10959; options and steps as in sentencepiece 0.2.3, but seeds are
    cut at characters where sentencepiece cuts at bytes, so that scripts of several bytes a
    character get more of them.
    """
    if num_threads < 1:
        raise ConfigError(f"train: num_threads must be at least 1, got {num_threads}")
    if unknown := sorted(options.keys() - UnigramOptions.__annotations__.keys()):
        raise ConfigError(f"train: options must be those of Unigram, got {unknown[0]!r}")
    given: dict[str, Any] = {**options}
    for name in ("control_symbols", "user_defined_symbols"):
        given[name] = list(given.get(name, ()))
    given |= {"normalizer_name": normalizer, "num_threads": num_threads}
    return _bindings.train_unigram(counter, given, charsmap_of(normalizer), progress)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnigramExtension:
    """Options of `extend_unigram`; those of `UnigramOptions` where not said otherwise.

    Attributes:
        vocab_size: Number of ids afterwards, added tokens included, or fewer.
        character_coverage: Characters that make up this share of the new text get a piece if they
            have none; in [0, 1], 0 for none.
        seed_sentencepiece_size: Most substrings of the new text to start from.
        shrinking_factor: Share of the new pieces that one pruning keeps.
        num_sub_iterations: Steps of EM before each pruning.
        max_sentencepiece_length: Most characters of a new piece.
        split_by_unicode_script: Of new pieces.
        split_by_number: Of new pieces.
        split_digits: Of new pieces.
        num_threads: Threads of EM and pruning; None takes every processor of the process.
    """

    vocab_size: int
    character_coverage: float = 0.9995
    seed_sentencepiece_size: int = 1_000_000
    shrinking_factor: float = 0.75
    num_sub_iterations: int = 2
    max_sentencepiece_length: int = 16
    split_by_unicode_script: bool = True
    split_by_number: bool = True
    split_digits: bool = False
    num_threads: int | None = None


def extend_unigram(
    spec: _bindings.TokenizerSpec,
    count: Callable[[], WordCounts],
    options: UnigramExtension,
    progress: Progress | None = None,
) -> _bindings.TokenizerSpec:
    """Add pieces of the new text beside the old ones, whose scores stay the same to the bit.

    Seeds are those of training, from the new text; EM and pruning in turns run over old and new
    pieces, but only new ones are re-estimated and removed. A new piece gets

        score = digamma(E(piece)) - digamma(E(all)) + log(sum of exp(old scores)),

    E being the expected uses in the new text: the log-probability that training would give it, on a
    scale where the old probabilities sum to one (a usual vocabulary's do, and the last term is
    about 0). A text's segmentation changes only where a new piece makes a better one; spaces part
    pieces, and U+2581 stands at the end of one that it stands at in the old vocabulary.

    Args:
        spec: The tokenizer to extend.
        count: Gives the counted new text, split as `spec` does.
        options: How the vocabulary is to grow.
        progress: As in `train_unigram`.

    Raises:
        ConfigError: an option is out of range, `vocab_size` too small for new characters, old
            scores that are no log-probabilities, or a tokenizer that leaves spaces as they are.

    Numerics: expected counts are summed as integers, so threads change nothing; new scores are
    float32, as SentencePiece's files hold them.
    """
    values = asdict(options)
    values["num_threads"] = options.num_threads or default_num_threads()
    extended = _bindings.extend_unigram(spec, count().native, values, progress)
    if progress is not None:
        progress("prune", extended.vocab_size, options.vocab_size)
    return extended


def sentencepiece_normalizer(
    name: str = "nmt_nfkc",
    *,
    add_dummy_prefix: bool = True,
    remove_extra_whitespaces: bool = True,
    treat_whitespace_as_suffix: bool = False,
    user_defined_symbols: Sequence[str] = (),
) -> str:
    """Return, as JSON, the normaliser that text must go through before its words are counted.

    Args:
        name: Rules: `"nmt_nfkc"`, `"nfkc"` or `"identity"`.
        add_dummy_prefix: Add a space in front of a text.
        remove_extra_whitespaces: Drop repeated and outer spaces.
        treat_whitespace_as_suffix: Add the space behind the text instead.
        user_defined_symbols: Texts that the rules leave alone.

    Raises:
        ConfigError: no such rules.
    """
    fields: dict[str, object] = {
        "type": "SentencePiece",
        "precompiled_charsmap": base64.b64encode(charsmap_of(name)).decode(),
        "add_dummy_prefix": add_dummy_prefix,
        "remove_extra_whitespaces": remove_extra_whitespaces,
        "escape_whitespaces": True,
    }
    if treat_whitespace_as_suffix:
        fields["treat_whitespace_as_suffix"] = True
    if user_defined_symbols:
        fields["user_defined_symbols"] = list(user_defined_symbols)
    return json.dumps(fields, ensure_ascii=False)


@functools.lru_cache(maxsize=len(NORMALIZERS))
def charsmap_of(name: str) -> bytes:
    """Return the compiled rules: about a second's work, so they are kept.

    Raises:
        ConfigError: no such rules.
    """
    return _bindings.sentencepiece_charsmap(name)
