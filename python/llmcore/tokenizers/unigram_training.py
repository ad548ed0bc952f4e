"""Learn a Unigram vocabulary from counted words, with sentencepiece's options."""

import base64
import functools
import json
from collections.abc import Callable, Sequence

from llmcore import _bindings
from llmcore.errors import ConfigError

Progress = Callable[[str, int, int], None]

SPACE_MARK = "\u2581"
"""Stands for a space in words and pieces."""

NORMALIZERS = ("nmt_nfkc", "nfkc", "identity")
"""Names of sentencepiece's normalisation rules that can be made here."""


def train_unigram(
    counter: _bindings.WordCounter,
    *,
    vocab_size: int = 8000,
    hard_vocab_limit: bool = True,
    character_coverage: float = 0.9995,
    required_chars: str = "",
    seed_sentencepiece_size: int = 1_000_000,
    shrinking_factor: float = 0.75,
    num_sub_iterations: int = 2,
    max_sentencepiece_length: int = 16,
    split_by_unicode_script: bool = True,
    split_by_number: bool = True,
    split_digits: bool = False,
    split_by_whitespace: bool = True,
    treat_whitespace_as_suffix: bool = False,
    allow_whitespace_only_pieces: bool = False,
    control_symbols: Sequence[str] = (),
    user_defined_symbols: Sequence[str] = (),
    byte_fallback: bool = False,
    unk_id: int = 0,
    bos_id: int = 1,
    eos_id: int = 2,
    pad_id: int = -1,
    unk_piece: str = "<unk>",
    bos_piece: str = "<s>",
    eos_piece: str = "</s>",
    pad_piece: str = "<pad>",
    unk_surface: str = " \u2047 ",
    normalizer: str = "nmt_nfkc",
    add_dummy_prefix: bool = True,
    remove_extra_whitespaces: bool = True,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> _bindings.TokenizerSpec:
    """Start from the substrings that cover the most text; re-estimate and prune in turns.

    Ids: unknown, bos, eos and pad where given, control, user-defined and byte pieces in the ids
    left free, then the learned pieces, best score first. The result depends on the counts alone,
    not on their order or on `num_threads`.

    Args:
        counter: Counts of words, or of whole sentences, that `sentencepiece_normalizer` has been
            through: every space is U+2581. With `split_by_whitespace` sentences are cut here.
        vocab_size: Number of ids.
        hard_vocab_limit: Refuse a text with too few pieces; else the vocabulary is smaller.
        character_coverage: Share of the text's characters, 0.98 to 1, that pieces must spell. The
            rarest ones beyond it become unknown.
        required_chars: Characters that get a piece whatever their count.
        seed_sentencepiece_size: Most substrings to start from.
        shrinking_factor: Share of the pieces, 0.5 to 0.95, that one pruning keeps.
        num_sub_iterations: Steps of EM, 1 to 10, before each pruning.
        max_sentencepiece_length: Most characters of a piece, 1 to 512.
        split_by_unicode_script: No piece holds characters of two scripts (kana and Han are one).
        split_by_number: A digit counts as a script of its own; else it joins any.
        split_digits: A digit is a piece of its own.
        split_by_whitespace: No piece crosses a space.
        treat_whitespace_as_suffix: U+2581 ends a piece instead of beginning it.
        allow_whitespace_only_pieces: Runs of U+2581 may be pieces.
        control_symbols: Pieces that no text gives.
        user_defined_symbols: Pieces that always stand for themselves in a text.
        byte_fallback: 256 pieces <0x00> to <0xFF> for characters without a piece.
        unk_id: Id of the unknown piece.
        bos_id: Id of the piece that begins a text; -1: none.
        eos_id: Id of the piece that ends a text; -1: none.
        pad_id: Id of the padding piece; -1: none.
        unk_piece: Text of that piece.
        bos_piece: Text of that piece.
        eos_piece: Text of that piece.
        pad_piece: Text of that piece.
        unk_surface: What an unknown piece decodes to.
        normalizer: Rules that the counted text has been through: `"nmt_nfkc"`, `"nfkc"`,
            `"identity"`.
        add_dummy_prefix: The normaliser adds a space in front of a text.
        remove_extra_whitespaces: The normaliser drops repeated and outer spaces.
        num_threads: Threads of EM and pruning.
        progress: Called about ten times a second as `progress("prune", pieces, vocab_size)`.

    Returns:
        A tokenizer as data with float32 scores, which also makes a SentencePiece `.model`.

    Raises:
        ConfigError: an option out of range, symbols that repeat, or a vocabulary size that the
            text's characters exceed or its pieces do not fill.
        DataError: no words, or words that hold a space.

    Source: Kudo 2018, arXiv:1804.10959; options and steps as in sentencepiece 0.2.3, but seeds are
    cut at characters where sentencepiece cuts at bytes, so that scripts of several bytes a
    character get more of them.
    """
    if num_threads < 1:
        raise ConfigError(f"train: num_threads must be at least 1, got {num_threads}")
    options: dict[str, object] = {
        "vocab_size": vocab_size,
        "hard_vocab_limit": hard_vocab_limit,
        "character_coverage": character_coverage,
        "required_chars": required_chars,
        "seed_sentencepiece_size": seed_sentencepiece_size,
        "shrinking_factor": shrinking_factor,
        "num_sub_iterations": num_sub_iterations,
        "max_sentencepiece_length": max_sentencepiece_length,
        "split_by_unicode_script": split_by_unicode_script,
        "split_by_number": split_by_number,
        "split_digits": split_digits,
        "split_by_whitespace": split_by_whitespace,
        "treat_whitespace_as_suffix": treat_whitespace_as_suffix,
        "allow_whitespace_only_pieces": allow_whitespace_only_pieces,
        "control_symbols": list(control_symbols),
        "user_defined_symbols": list(user_defined_symbols),
        "byte_fallback": byte_fallback,
        "unk_id": unk_id,
        "bos_id": bos_id,
        "eos_id": eos_id,
        "pad_id": pad_id,
        "unk_piece": unk_piece,
        "bos_piece": bos_piece,
        "eos_piece": eos_piece,
        "pad_piece": pad_piece,
        "unk_surface": unk_surface,
        "normalizer_name": normalizer,
        "add_dummy_prefix": add_dummy_prefix,
        "remove_extra_whitespaces": remove_extra_whitespaces,
        "num_threads": num_threads,
    }
    return _bindings.train_unigram(counter, options, charsmap_of(normalizer), progress)


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
