"""How each package loads a vocabulary and encodes many texts."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tokenizers.texts import MODELS, num_bytes

PACKAGES = ("tiktoken", "gigatoken", "tokenizers", "sentencepiece", "kitoken")
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


def versions() -> dict[str, str]:
    return {name: version(name) if has(name) else "not installed" for name in PACKAGES}


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One package with one vocabulary."""

    name: str
    load: Callable[[], Any]
    encode: Callable[[Any, list[str]], Any]
    ids: Callable[[Any], np.ndarray]
    """All ids of what `encode` returned, end to end."""
    is_slow: bool = False


def _joined(rows: Any) -> np.ndarray:
    parts = [np.asarray(row, np.uint32) for row in rows]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint32)


def llmcore(path: Path, threads: int = 1, **options: Any) -> Peer:
    from llmcore.tokenizers import Tokenizer

    return Peer(
        name="llmcore",
        load=lambda: Tokenizer.load(path, **options),
        encode=lambda t, texts: t.encode_batch(texts, threads),
        ids=lambda got: got[0],
    )


def tokenizers(path: Path) -> Peer:
    import tokenizers as hf

    return Peer(
        name="tokenizers",
        load=lambda: hf.Tokenizer.from_file(str(path)),
        encode=lambda t, texts: t.encode_batch_fast(texts, add_special_tokens=False),
        ids=lambda got: _joined(one.ids for one in got),
        is_slow=True,
    )


def sentencepiece(path: Path) -> Peer:
    import sentencepiece as spm

    return Peer(
        name="sentencepiece",
        load=lambda: spm.SentencePieceProcessor(model_file=str(path)),
        encode=lambda t, texts: [t.encode(text) for text in texts],
        ids=_joined,
        is_slow=True,
    )


def gigatoken(path: Path, threads: int = 1, pretokenizer: str = "") -> Peer:
    import gigatoken as giga

    def load() -> Any:
        if pretokenizer:
            return giga.Tokenizer.from_tiktoken(str(path), pretokenizer=pretokenizer)
        return giga.Tokenizer(str(path))

    return Peer(
        name="gigatoken",
        load=load,
        encode=lambda t, texts: t.encode_batch(texts, parallel=threads > 1),
        ids=lambda got: _joined(got),
    )


def _gpt2_ranks(path: Path) -> dict[bytes, int]:
    from llmcore.tokenizers import Tokenizer

    ours = Tokenizer.load(path)
    special = set(ours.special_tokens.values())
    return {ours.id_to_bytes(i): i for i in range(ours.vocab_size) if i not in special}


def tiktoken(path: Path, pattern: str) -> Peer:
    import tiktoken as tt
    from tiktoken.load import load_tiktoken_bpe

    def load() -> Any:
        is_ranks = path.suffix == ".tiktoken"
        ranks = load_tiktoken_bpe(str(path)) if is_ranks else _gpt2_ranks(path)
        return tt.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    return Peer(
        name="tiktoken",
        load=load,
        encode=lambda t, texts: t.encode_ordinary_batch(texts, num_threads=1),
        ids=_joined,
        is_slow=True,
    )


def byte_level(kind: str, threads: int = 1) -> list[Peer]:
    """The packages for GPT-2's vocabulary or cl100k's, ours first; those that are installed."""
    if kind == "gpt2":
        path, pattern, options, splitter = MODELS / "tokenizers.gpt2.json", GPT2_PATTERN, {}, ""
    else:
        path, pattern = MODELS / "tiktoken.cl100k_base.tiktoken", CL100K_PATTERN
        options, splitter = {"pattern": "cl100k_base"}, "cl100k"
    found = [llmcore(path, threads, **options)]
    if has("gigatoken"):
        found.append(gigatoken(path, threads, splitter))
    if has("tiktoken"):
        found.append(tiktoken(path, pattern))
    return found


def difference(ours: Peer, peer: Peer, texts: list[str]) -> str:
    """The first text whose ids differ from ours, in words; empty if there is none."""
    want, got = (p.ids(p.encode(p.load(), texts)) for p in (ours, peer))
    if np.array_equal(got, want):
        return ""
    for text in texts:
        one, two = (p.ids(p.encode(p.load(), [text])) for p in (ours, peer))
        if not np.array_equal(one, two):
            return (
                f"ids of {peer.name} differ in a text of {num_bytes([text])} bytes that "
                f"begins with {text[:60]!r}: {one[:8]} and {two[:8]}"
            )
    return f"ids of {peer.name} differ in a batch, in no text alone"


def check_same_ids(peers: list[Peer], texts: list[str]) -> None:
    """All packages give our ids; a difference would make the timings meaningless."""
    for peer in peers[1:]:
        if reason := difference(peers[0], peer, texts):
            raise AssertionError(reason)
