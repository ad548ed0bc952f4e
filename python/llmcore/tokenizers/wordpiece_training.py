"""Learn a WordPiece vocabulary from counted words."""

import json
from collections.abc import Callable, Sequence

from llmcore import _bindings
from llmcore.errors import ConfigError

Progress = Callable[[str, int, int], None]

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BERT_NORMALIZER = (
    '{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,'
    '"strip_accents":null,"lowercase":true}'
)
BERT_PRE_TOKENIZER = '{"type":"BertPreTokenizer"}'

_SCORES = ("count", "likelihood")


def train_wordpiece(
    counter: _bindings.WordCounter,
    *,
    vocab_size: int,
    score: str = "count",
    min_frequency: int = 0,
    special_tokens: Sequence[str] = BERT_SPECIAL_TOKENS,
    unk_token: str = "[UNK]",
    continuing_subword_prefix: str = "##",
    limit_alphabet: int | None = None,
    initial_alphabet: Sequence[str] = (),
    max_token_length: int | None = None,
    continuing_order: Sequence[str] = (),
    normalizer: str = BERT_NORMALIZER,
    pre_tokenizer: str = BERT_PRE_TOKENIZER,
    progress: Progress | None = None,
) -> _bindings.TokenizerSpec:
    """Merge neighbouring tokens by score until the vocabulary is full.

    Ids: the special tokens, the characters kept by code point, the same inside words (with the
    prefix) by code point, then one per merge. The result depends on the counts alone.

    Args:
        counter: Counts of the words that `normalizer` and `pre_tokenizer` make of the text.
        vocab_size: Number of ids; fewer if no pair is left, more if the alphabet alone is larger.
        score: `"count"` merges the pair seen most often, as Hugging Face `tokenizers` does;
            `"likelihood"` the pair with the largest count(ab) / (count(a) count(b)), which raises
            the likelihood of the text the most.
        min_frequency: Pairs seen less often than this are not merged.
        special_tokens: Texts of ids 0, 1, ...; `unk_token` is one of them.
        unk_token: The token for words that the vocabulary cannot spell.
        continuing_subword_prefix: Marks tokens inside a word.
        limit_alphabet: Most characters kept, the most frequent ones; the others leave the words.
        initial_alphabet: Single characters kept whatever their count.
        max_token_length: Most characters of a merged token, as in `tokenizers`: two characters
            merge even for a limit below two.
        continuing_order: Single characters whose tokens inside words come first, in this order.
            `tokenizers` orders them by a hash that differs in every run; equal counts are settled
            by ids, so a run of it can be repeated only by giving its order here.
        normalizer: Component of the result, as JSON.
        pre_tokenizer: Component of the result, as JSON.
        progress: Called about ten times a second as `progress("merge", tokens, vocab_size)`.

    Raises:
        ConfigError: a size or count out of range; special tokens that repeat or lack `unk_token`;
            an alphabet entry that is not one character; an unknown `score`.

    Source: Schuster & Nakajima 2012, "Japanese and Korean voice search"; `tokenizers` 0.23.
    """
    specials = list(special_tokens)
    _check(vocab_size, score, min_frequency, specials, unk_token)
    options: dict[str, object] = {
        "vocab_size": vocab_size,
        "likelihood": score == "likelihood",
        "min_frequency": min_frequency,
        "special_tokens": specials,
        "continuing_subword_prefix": continuing_subword_prefix,
        "initial_alphabet": list(initial_alphabet),
        "continuing_order": list(continuing_order),
    }
    for name, limit in (("limit_alphabet", limit_alphabet), ("max_token_length", max_token_length)):
        if limit is None:
            continue
        if limit < 1:
            raise ConfigError(f"train: {name} must be at least 1, got {limit}")
        options[name] = limit
    spec = _bindings.train_wordpiece(counter, options, unk_token, progress)
    if progress is not None:
        progress("merge", spec.vocab_size, vocab_size)
    components = {
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": json.dumps(
            {"type": "WordPiece", "prefix": continuing_subword_prefix, "cleanup": True}
        ),
    }
    if "[CLS]" in specials and "[SEP]" in specials:
        frame = {name: [text, specials.index(text)] for name, text in _FRAME.items()}
        components["post_processor"] = json.dumps({"type": "BertProcessing", **frame})
    return _bindings.with_components(spec, components)


_FRAME = {"sep": "[SEP]", "cls": "[CLS]"}


def _check(
    vocab_size: int, score: str, min_frequency: int, specials: list[str], unk_token: str
) -> None:
    if vocab_size < len(specials):
        raise ConfigError(
            f"train: vocab_size must be at least {len(specials)} (the special tokens), "
            f"got {vocab_size}"
        )
    if score not in _SCORES:
        raise ConfigError(f"train: score must be one of {', '.join(_SCORES)}, got {score!r}")
    if min_frequency < 0:
        raise ConfigError(f"train: min_frequency must be at least 0, got {min_frequency}")
    if len(set(specials)) != len(specials) or "" in specials:
        raise ConfigError(f"train: special_tokens must be distinct and not empty, got {specials}")
    if unk_token not in specials:
        raise ConfigError(f"train: special_tokens must hold unk_token {unk_token!r}")
