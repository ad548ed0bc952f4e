"""The tokenizer that the rest of the library uses."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.chat_details import ChatDetails, normalized_finder, special_finder
from llmcore.tokenizers.chat_files import DEFAULT_TEMPLATE
from llmcore.tokenizers.formats import read_tokenizer_file, write_tokenizer_file
from llmcore.tokenizers.sources import TextSource
from llmcore.tokenizers.stream_decoder import StreamDecoder
from llmcore.tokenizers.training import extend_spec, train_spec
from llmcore.tokenizers.word_counts import Progress, WordCounts, default_num_threads

AllowedSpecial = str | Set[str]
"""`"none"`, `"all"`, or the texts of the special tokens to recognise."""

_MAX_ID = 2**32 - 1


class Tokenizer:
    """Text to ids and back, by any of BPE, WordPiece and Unigram, from any file that has them.

    Text is `str`, or `bytes` that need not be valid UTF-8. Special tokens written in a text stay
    ordinary text unless `allowed_special` names them: text that others wrote cannot smuggle in a
    control token. An instance never changes; threads share it freely.
    """

    def __init__(self, spec: _bindings.TokenizerSpec) -> None:
        """Assemble what `spec`, a tokenizer as data, describes.

        Raises:
            DataError: the spec contradicts itself, or names a component that does not exist.
        """
        self._pipeline = _bindings.Pipeline.build(spec)
        self._token_bytes = self._pipeline.token_bytes
        added = spec.added
        self._special = {t["content"]: t["id"] for t in added if t["special"]}
        self._added = [(t["content"], t["special"]) for t in added]
        self._allow_none = [not special for _, special in self._added]
        self._allow_all = [True] * len(self._added)

    @classmethod
    def train(
        cls,
        source: TextSource | WordCounts,
        *,
        vocab_size: int,
        special_tokens: Sequence[str] = (),
        algorithm: str = "bpe",
        min_frequency: int = 0,
        pattern: str | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> "Tokenizer":
        """Learn a vocabulary from texts.

        The result depends on the text alone, not on `num_threads`, nor on the parts in which
        `WordCounts` were counted.

        Args:
            source: A file or folder (text, JSONL, Parquet; `.gz` and `.zst` too), an iterable of
                texts (`str` or `bytes`) and of `Path`s of such files, or `WordCounts`. Texts are
                read once and not kept; memory grows with the distinct pre-tokens only.
            vocab_size: Number of ids, or fewer if the text does not give that many.
            special_tokens: Texts of the first ids; recognised when encoding, if allowed.
            algorithm: "bpe", "wordpiece" or "unigram".
            min_frequency: Pairs seen less often than this are not merged (not for Unigram).
            pattern: Split pattern: a known name ("gpt2", the usual one of byte-level BPE,
                "cl100k_base", "o200k_base", "llama3", "qwen2", ...) or a regular expression.
            num_threads: Threads that count; None takes every processor of the process.
            progress: Called as `progress("count", characters_read, 0)` after each batch, then
                about ten times a second as `progress("merge", tokens, vocab_size)`.
            options: `normalizer`, `pre_tokenizer` and `text_field`, see `algorithms.Reading`, and
                the algorithm's own: see `bpe_training.BpeOptions`,
                `wordpiece_training.WordPieceOptions` and `unigram_training.UnigramOptions`.

        Raises:
            ConfigError: an argument is out of range, or the algorithm does not know it.
            DataError: `source` holds no text, or what is not text.
        """
        keywords = options | {"vocab_size": vocab_size, "num_threads": num_threads}
        optional = {
            "special_tokens": special_tokens,
            "min_frequency": min_frequency,
            "pattern": pattern,
        }
        keywords |= {name: value for name, value in optional.items() if value}
        return cls(train_spec(source, algorithm, progress, keywords))

    def extend(
        self,
        source: TextSource | WordCounts,
        *,
        vocab_size: int,
        min_frequency: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> "Tokenizer":
        """Continue training on new texts: a tokenizer with more ids, whose old ids are the same.

        BPE: the old merges keep their order and cut the new texts first; new merges follow them.
        WordPiece: pairs start from the old vocabulary's own cut of each word, longest match first.
        Unigram: old pieces keep their scores, new ones get log-probabilities on their scale.
        An old text keeps its ids where no merge or piece is new to it; WordPiece takes a new token
        wherever that is the longest match. Added tokens are text here, and no new token spells one.

        Args:
            source: As in `train`; the texts are split as this tokenizer splits them.
            vocab_size: Number of ids afterwards, or fewer if the text does not give that many.
            min_frequency: Pairs seen less often than this in the new texts are not merged (not for
                Unigram).
            num_threads: As in `train`.
            progress: As in `train`.
            options: `text_field`, and the algorithm's own: see `bpe_training.BpeExtension`,
                `wordpiece_training.WordPieceExtension` and `unigram_training.UnigramExtension`.

        Raises:
            ConfigError: `vocab_size` is not above the present one or too small for the new text's
                characters, an option is out of range, or the algorithm does not know it.
            DataError: `source` holds no text, or what is not text.
        """
        if vocab_size <= self.vocab_size:
            raise ConfigError(
                f"extend: vocab_size must be above the present {self.vocab_size}, got {vocab_size}"
            )
        keywords = options | {"vocab_size": vocab_size, "num_threads": num_threads}
        if min_frequency:
            keywords["min_frequency"] = min_frequency
        return type(self)(extend_spec(self._pipeline.spec, source, progress, keywords))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> "Tokenizer":
        """Read a tokenizer from a file, or from the directory that holds one.

        The content tells the format: `tokenizer.json`, tiktoken ranks, a SentencePiece `.model`,
        GGUF, BERT's `vocab.txt`, `vocab.json` with `merges.txt` beside it.

        Args:
            path: File or directory.
            pattern: Split pattern of a file that has none (tiktoken ranks): a known name such as
                "cl100k_base" or "llama3", or a regular expression.
            special_tokens: Texts and ids that the file lacks (tiktoken ranks, `vocab.json`).

        Raises:
            DataError: missing, damaged, or in need of what this library lacks (the message names
                it).
            ConfigError: an option is missing, or does not fit the file.
        """
        spec = read_tokenizer_file(path, pattern=pattern, special_tokens=special_tokens)
        try:
            return cls(spec)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the tokenizer; every file appears whole or not at all. Returns the main file.

        Args:
            path: A `*.json` file, a directory (created if missing) that gets `tokenizer.json`, or
                the file of another format.
            format: "tokenizer.json", "tiktoken", "sentencepiece", "gguf", "vocab.txt",
                "vocab.json" or "llmcore" (a directory that keeps all that is known); by default
                as `path` says: "tokenizer.json" for `*.json`, else "llmcore".

        Raises:
            DataError: the format cannot express this tokenizer (the message says why), or the file
                cannot be written.
            ConfigError: no such format.
        """
        file = Path(path)
        if format is None:
            is_file = file.suffix == ".json" and not file.is_dir()
            format = "tokenizer.json" if is_file else "llmcore"
        return write_tokenizer_file(self._pipeline.spec, file, format=format)

    def encode(
        self,
        text: str | bytes,
        *,
        add_special_tokens: bool = False,
        allowed_special: AllowedSpecial = "none",
        disallowed_special: AllowedSpecial = "none",
    ) -> list[int]:
        """Ids of a text.

        Args:
            text: `str`, or `bytes` of any content.
            add_special_tokens: Add what the tokenizer's post-processor puts around a text.
            allowed_special: Special tokens to recognise in the text: "none", "all" or their texts.
            disallowed_special: Special tokens that the text must not spell, unless they are
                allowed; those in neither set are ordinary text.

        Raises:
            ConfigError: `allowed_special` or `disallowed_special` names an unknown token.
            DataError: a `str` with a lone surrogate, which no UTF-8 can hold, or a text that
                spells a disallowed token.
        """
        self._refuse_special(text, allowed_special, disallowed_special)
        return self._pipeline.encode(text, self._allowed(allowed_special), add_special_tokens)

    def encode_array(
        self,
        text: str | bytes,
        *,
        add_special_tokens: bool = False,
        allowed_special: AllowedSpecial = "none",
        disallowed_special: AllowedSpecial = "none",
    ) -> npt.NDArray[np.uint32]:
        """`encode` into an array, without a Python object per id."""
        self._refuse_special(text, allowed_special, disallowed_special)
        return self._pipeline.encode_array(text, self._allowed(allowed_special), add_special_tokens)

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        num_threads: int | None = None,
        *,
        add_special_tokens: bool = False,
        allowed_special: AllowedSpecial = "none",
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Ids of many texts, laid end to end; text i is `ids[offsets[i]:offsets[i + 1]]`.

        Args:
            texts: Texts; large ones are shared among the threads too.
            num_threads: None takes every processor of the process.
            add_special_tokens: As in `encode`, around each text.
            allowed_special: As in `encode`.
        """
        items = texts if isinstance(texts, list) else list(texts)
        threads = default_num_threads() if num_threads is None else num_threads
        if threads < 1:
            raise ConfigError(f"encode_batch: num_threads must be at least 1, got {threads}")
        allowed = self._allowed(allowed_special)
        return self._pipeline.encode_batch(items, allowed, add_special_tokens, threads)

    def encode_with_offsets(
        self,
        text: str | bytes,
        *,
        add_special_tokens: bool = False,
        allowed_special: AllowedSpecial = "none",
        unit: str = "char",
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each the part [start, end) of the text that it stands for.

        Positions are of the text as given, whatever the normaliser made of it. Tokens that share a
        character all report it; a token that stands for nothing in the text has an empty span.

        Args:
            text: As in `encode`.
            add_special_tokens: As in `encode`.
            allowed_special: As in `encode`.
            unit: "char" counts characters (in `bytes`, every byte that starts a character or
                stands alone), "byte" counts bytes of UTF-8.

        Raises:
            ConfigError: `unit` is neither.
        """
        if unit not in ("char", "byte"):
            raise ConfigError(f"encode_with_offsets: unit must be 'char' or 'byte', got {unit!r}")
        allowed = self._allowed(allowed_special)
        ids, spans = self._pipeline.encode_with_offsets(
            text, allowed, add_special_tokens, unit == "byte"
        )
        flat = spans.tolist()
        return ids.tolist(), list(zip(flat[::2], flat[1::2], strict=True))

    def sample(self, text: str | bytes, alpha: float, seed: int) -> list[int]:
        """Return the ids of one random segmentation; equal seeds give equal ones.

        Args:
            text: As in `encode`.
            alpha: BPE: the probability in [0, 1] with which each merge is left out
                (BPE-dropout). Unigram: the exponent of a segmentation's probability, >= 0; the
                smaller, the flatter.
            seed: In [0, 2^64).

        Raises:
            ConfigError: WordPiece, which has no such choice; or an argument is out of range.

        Source: Provilkov et al. 2020, arXiv:1910.13267; Kudo 2018, arXiv:1804.10959.
        """
        most = 1.0 if self.algorithm == "bpe" else float("inf")
        if not 0.0 <= alpha <= most or alpha == float("inf"):
            raise ConfigError(f"sample: alpha must be in [0, {most:g}], got {alpha}")
        if not 0 <= seed < 2**64:
            raise ConfigError(f"sample: seed must be in [0, 2^64), got {seed}")
        return self._pipeline.sample(text, self._allow_none, alpha, seed)

    def nbest(self, text: str | bytes, count: int) -> list[tuple[list[int], float]]:
        """Return the `count` most likely segmentations with their log-probabilities, best first.

        Raises:
            ConfigError: the model is not Unigram, or `count` is not in [1, 1024].
        """
        if not 1 <= count <= 1024:
            raise ConfigError(f"nbest: count must be in [1, 1024], got {count}")
        return [(ids, score) for score, ids in self._pipeline.nbest(text, count)]

    def decode(
        self, ids: Sequence[int] | npt.NDArray[Any], *, skip_special_tokens: bool = False
    ) -> str:
        """Text of the ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            DataError: an id outside the vocabulary.
        """
        return self._token_bytes.decode(self._id_array(ids), skip_special_tokens)

    def decode_bytes(self, ids: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """Bytes of the ids. For byte-level BPE, `decode_bytes(encode(x))` is x, for every x.

        Raises:
            DataError: an id outside the vocabulary.
        """
        return self._token_bytes.decode_bytes(self._id_array(ids), False)

    def stream_decoder(self, *, skip_special_tokens: bool = False) -> StreamDecoder:
        """A decoder that takes one id at a time and gives whole characters."""
        return StreamDecoder(self._token_bytes.stream(skip_special_tokens))

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        template: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        variables: Mapping[str, Any] | None = None,
        tokenize: bool = True,
    ) -> list[int] | str:
        """Ids (or text) of a conversation, by the template that came with the tokenizer.

        The template's special tokens become their ids; those that a message, a tool or a variable
        spells stay ordinary text, so no content can end a turn or begin one. The text is that of
        `transformers` with the same template; its ids too where no content spells a special token.

        Args:
            messages: Mappings such as `{"role": "user", "content": "Hello"}`.
            template: Jinja source, or the name of one of the tokenizer's templates.
            tools: JSON schemas of the functions that the model may call.
            add_generation_prompt: End with the start of the assistant's answer.
            continue_final_message: End with the last message's "content", or the entry named.
            variables: More names for the template, such as `{"enable_thinking": False}`.
            tokenize: False gives the text.

        Raises:
            ConfigError: no template, or `continue_final_message` with `add_generation_prompt`.
            DataError: malformed messages or template; or one that refuses these messages, takes too
                much time or space, or changes a special token spelled in them.
        """
        from llmcore.tokenizers.chat_guard import render_guarded  # loads Jinja
        from llmcore.tokenizers.chat_template import render_template, template_variables

        details = self._chat_details
        source = details.template(template, has_tools=tools is not None)
        names = template_variables(
            messages,
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            variables={**details.tokens, **(variables or {})},
        )
        if not tokenize:
            return render_template(source, names, continue_final_message=continue_final_message)
        text, guarded = render_guarded(
            source, names, self._find_special, continue_final_message=continue_final_message
        )
        return self._pipeline.encode_guarded(text, self._allow_all, guarded)

    @property
    def chat_template(self) -> str | None:
        """Jinja source of the chat template that came with the tokenizer."""
        return self._chat_details.templates.get(DEFAULT_TEMPLATE)

    @property
    def spec(self) -> _bindings.TokenizerSpec:
        """A copy of the tokenizer as data: components, vocabulary, what its file said besides."""
        return self._pipeline.spec

    @property
    def algorithm(self) -> str:
        """ "bpe", "wordpiece" or "unigram"."""
        return self._pipeline.kind

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return self._pipeline.size

    @property
    def special_tokens(self) -> dict[str, int]:
        """Text and id of every special token."""
        return dict(self._special)

    def token_to_id(self, token: str) -> int | None:
        """Id of a token as the file spells it (byte alphabet; special tokens as they are)."""
        return self._pipeline.find_text(token)

    def id_to_token(self, token_id: int) -> str:
        """Text of an id as the file spells it; empty where the id has no token.

        Raises:
            DataError: an id outside the vocabulary.
        """
        if not 0 <= token_id <= _MAX_ID:
            raise self._bad_id(token_id)
        return self._pipeline.token_text(token_id)

    def id_to_bytes(self, token_id: int) -> bytes:
        """The bytes that an id adds to a text, behind other tokens.

        Raises:
            DataError: an id outside the vocabulary.
        """
        if not 0 <= token_id < self.vocab_size:
            raise self._bad_id(token_id)
        return self._token_bytes.middle(token_id)

    @cached_property
    def _chat_details(self) -> ChatDetails:
        return ChatDetails.from_extra(self._pipeline.spec.extra, self.id_to_token)

    @cached_property
    def _find_special(self) -> Callable[[str], list[tuple[int, int]]]:
        if any(token["special"] and token["normalized"] for token in self._pipeline.spec.added):
            return normalized_finder(self.encode_with_offsets, self._special.values())
        return special_finder(self._special)

    def _allowed(self, allowed_special: AllowedSpecial) -> list[bool]:
        """One flag per added token: whether it is looked for in the text."""
        if allowed_special == "none":
            return self._allow_none
        if allowed_special == "all":
            return self._allow_all
        names = self._names(allowed_special, "allowed_special")
        return [not special or text in names for text, special in self._added]

    def _refuse_special(
        self, text: str | bytes, allowed: AllowedSpecial, disallowed: AllowedSpecial
    ) -> None:
        if disallowed == "none":
            return
        names = self._names(disallowed, "disallowed_special")
        for name in sorted(names - self._names(allowed, "allowed_special")):
            if name in text if isinstance(text, str) else name.encode() in text:
                raise DataError(f"encode: text must not spell the special token {name!r}, got it")

    def _names(self, special: AllowedSpecial, argument: str) -> Set[str]:
        if isinstance(special, str):
            if special not in ("none", "all"):
                raise ConfigError(
                    f"encode: {argument} must be 'none', 'all' or a set, got {special!r}"
                )
            return self._special.keys() if special == "all" else set()
        if unknown := sorted(set(special) - self._special.keys()):
            raise ConfigError(f"encode: {argument} must name special tokens, got {unknown[0]!r}")
        return set(special)

    def _id_array(self, ids: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        array = np.asarray(ids)
        if array.ndim != 1:
            raise DataError(f"decode: ids must have one axis, got {array.ndim}")
        if array.size == 0:
            return np.zeros(0, np.uint32)
        if array.dtype.kind not in "iu":
            raise DataError(f"decode: ids must be integers, got {array.dtype}")
        for extreme in (int(array.min()), int(array.max())):
            if not 0 <= extreme < self.vocab_size:
                raise self._bad_id(extreme)
        return np.ascontiguousarray(array, np.uint32)

    def _bad_id(self, token_id: int) -> DataError:
        return DataError(f"decode: ids must be in [0, {self.vocab_size}), got {token_id}")
