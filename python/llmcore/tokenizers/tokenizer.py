"""The tokenizer that the rest of the library uses."""

import os
import tempfile
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.bpe_training import Progress, default_num_threads, train_bpe
from llmcore.tokenizers.stream_decoder import StreamDecoder
from llmcore.tokenizers.tokenizer_json import format_tokenizer_json, read_tokenizer_json
from llmcore.tokenizers.vocabulary import Vocabulary

AllowedSpecial = str | Set[str]
"""`"none"`, `"all"`, or the texts of the special tokens to recognise."""

_FILE_NAME = "tokenizer.json"
_MAX_ID = 2**32 - 1


class Tokenizer:
    """Byte-level BPE: any text to ids, and ids back to the same bytes.

    Text is `str`, or `bytes` that need not be valid UTF-8. The split is GPT-2's, with Unicode 16.0.
    Special tokens written in a text stay ordinary text unless `allowed_special` names them: text
    that others wrote cannot smuggle in a control token. An instance never changes; threads share
    it freely.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._encoder = vocabulary.build()
        self._added = vocabulary.added_tokens
        self._special = {t.content: t.id for t in self._added if t.special}
        self._allow_none = [not t.special for t in self._added]
        self._allow_all = [True] * len(self._added)

    @classmethod
    def train(
        cls,
        source: Iterable[str],
        *,
        vocab_size: int,
        special_tokens: Sequence[str] = (),
        algorithm: str = "bpe",
        min_frequency: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> "Tokenizer":
        """Learn a vocabulary from texts; see `train_bpe` for the arguments.

        Raises:
            ConfigError: `vocab_size`, `special_tokens` or `algorithm` is out of range.
            DataError: `source` holds no text.
        """
        if algorithm != "bpe":
            raise ConfigError(f"train: algorithm must be 'bpe', got {algorithm!r}")
        vocabulary = train_bpe(
            source,
            vocab_size=vocab_size,
            special_tokens=special_tokens,
            min_frequency=min_frequency,
            num_threads=num_threads,
            progress=progress,
        )
        return cls(vocabulary)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Tokenizer":
        """Read a `tokenizer.json`, or the one in the directory `path`.

        Raises:
            DataError: missing, damaged, or not byte-level BPE (the message names the component).
        """
        file = Path(path)
        return cls(read_tokenizer_json(file / _FILE_NAME if file.is_dir() else file))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `path` (a `*.json` file), or `tokenizer.json` in the directory `path`.

        The file appears whole or not at all. Returns the file's path.

        Raises:
            DataError: the file cannot be written.
        """
        file = Path(path)
        if file.suffix != ".json" or file.is_dir():
            file = file / _FILE_NAME
        text = format_tokenizer_json(self._vocabulary)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _replace_file(file, text)
        except OSError as error:
            raise DataError(f"tokenizer: cannot write {file}: {error.strerror}") from error
        return file

    def encode(
        self,
        text: str | bytes,
        *,
        add_special_tokens: bool = False,
        allowed_special: AllowedSpecial = "none",
    ) -> list[int]:
        """Ids of a text.

        Args:
            text: `str`, or `bytes` of any content.
            add_special_tokens: Add what the file's post-processor adds; byte-level BPE adds none.
            allowed_special: Special tokens to recognise in the text: "none", "all" or their texts.

        Raises:
            ConfigError: `allowed_special` names an unknown token.
            DataError: a `str` with a lone surrogate, which no UTF-8 can hold.
        """
        return self._encoder.encode(text, self._allowed(allowed_special))

    def encode_array(
        self, text: str | bytes, *, allowed_special: AllowedSpecial = "none"
    ) -> npt.NDArray[np.uint32]:
        """`encode` into an array, without a Python object per id."""
        return self._encoder.encode_array(text, self._allowed(allowed_special))

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        num_threads: int | None = None,
        *,
        allowed_special: AllowedSpecial = "none",
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Ids of many texts, laid end to end; text i is `ids[offsets[i]:offsets[i + 1]]`.

        Args:
            texts: Texts; large ones are shared among the threads too.
            num_threads: None takes every processor of the process.
            allowed_special: As in `encode`.
        """
        items = texts if isinstance(texts, list) else list(texts)
        threads = default_num_threads() if num_threads is None else num_threads
        if threads < 1:
            raise ConfigError(f"encode_batch: num_threads must be at least 1, got {threads}")
        return self._encoder.encode_batch(items, self._allowed(allowed_special), threads)

    def encode_with_offsets(
        self, text: str | bytes, *, allowed_special: AllowedSpecial = "none"
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each the characters [start, end) that own its bytes.

        Tokens that share a character all report it. For `bytes`, every byte that starts a
        character or stands alone counts as one.
        """
        ids, spans = self._encoder.encode_with_offsets(text, self._allowed(allowed_special))
        flat = spans.tolist()
        return ids.tolist(), list(zip(flat[::2], flat[1::2], strict=True))

    def decode(
        self, ids: Sequence[int] | npt.NDArray[Any], *, skip_special_tokens: bool = False
    ) -> str:
        """Text of the ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            DataError: an id outside the vocabulary.
        """
        if skip_special_tokens:
            special = set(self._special.values())
            ids = [int(i) for i in ids if int(i) not in special]
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """Bytes of the ids: `decode_bytes(encode(x))` is x, for every x.

        Raises:
            DataError: an id outside the vocabulary.
        """
        return self._encoder.decode_bytes(self._id_array(ids))

    def stream_decoder(self) -> StreamDecoder:
        """A decoder that takes one id at a time and gives whole characters."""
        return StreamDecoder(self.id_to_bytes)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return self._encoder.size

    @property
    def special_tokens(self) -> dict[str, int]:
        """Text and id of every special token."""
        return dict(self._special)

    def token_to_id(self, token: str) -> int | None:
        """Id of a token as the file spells it (byte alphabet; special tokens as they are)."""
        return self._encoder.find_text(token)

    def id_to_bytes(self, token_id: int) -> bytes:
        """The bytes that an id stands for.

        Raises:
            DataError: an id outside the vocabulary.
        """
        if not 0 <= token_id <= _MAX_ID:
            raise self._bad_id(token_id)
        return self._encoder.token_bytes(token_id)

    def _allowed(self, allowed_special: AllowedSpecial) -> list[bool]:
        """One flag per added token: whether it is looked for in the text."""
        if isinstance(allowed_special, str):
            match allowed_special:
                case "none":
                    return self._allow_none
                case "all":
                    return self._allow_all
        elif unknown := sorted(set(allowed_special) - self._special.keys()):
            raise ConfigError(
                f"encode: allowed_special must name special tokens, got {unknown[0]!r}"
            )
        else:
            return [not t.special or t.content in allowed_special for t in self._added]
        raise ConfigError(
            f"encode: allowed_special must be 'none', 'all' or a set, got {allowed_special!r}"
        )

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


def _replace_file(file: Path, text: str) -> None:
    """Write beside the file, flush to the disk, then rename over it."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as temporary:
        try:
            temporary.write(text)
            temporary.flush()
            os.fsync(temporary.fileno())
            os.chmod(temporary.name, 0o644)
            os.replace(temporary.name, file)
        except BaseException:
            os.unlink(temporary.name)
            raise
