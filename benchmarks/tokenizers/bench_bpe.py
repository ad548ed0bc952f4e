"""Byte-level BPE against `tokenizers` (and `tiktoken` for encoding), side by side.

    python benchmarks/tokenizers/bench_bpe.py [--rounds 5] [--seconds S] [--json PATH] [--quick]

Each thread count runs in a process of its own, since `tokenizers` fixes its pool at first use.
Within it the contestants take turns, `rounds` times; a figure is the median. Before any timing the
merges and the ids are checked to be equal. Texts: the interpreter's help topics and library source,
and the Japanese novel of the shared fixtures where present.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.support import results
from benchmarks.support.machine import facts
from llmcore.data.python_corpus import python_documents

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCAB_SIZES = (4096, 32768)
REPO_ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(os.environ.get("LLMCORE_FIXTURES", REPO_ROOT.parent / "shared" / "fixtures"))
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


class Turns(NamedTuple):
    """`most` rounds, or at least `least` once `seconds` have passed."""

    most: int
    seconds: float
    least: int = 3


def python_texts() -> list[str]:
    """The quickstart's corpus: help topics and library source of this Python."""
    texts = [document.text for document in python_documents()]
    # `tokenizers` always recognises special tokens in a text; llmcore only where allowed.
    return [t for t in texts if t and not any(s in t for s in SPECIALS)]


def corpora(quick: bool) -> dict[str, list[str]]:
    texts = {"python": python_texts()}
    if quick:
        texts["python"] = texts["python"][:200]
    japanese = FIXTURES / "corpora" / "wagahaiwa_nekodearu.txt"
    if japanese.is_file():
        texts["japanese"] = japanese.read_text("utf-8").splitlines(keepends=True)
    return texts


def num_bytes(texts: list[str]) -> int:
    return sum(len(t.encode()) for t in texts)


def medians(contestants: dict[str, Callable[[], object]], turns: Turns) -> dict[str, float]:
    """Median seconds of each, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.perf_counter()
    for turn in range(turns.most):
        if turn >= turns.least and time.perf_counter() - began > turns.seconds:
            break
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(s) for name, s in seconds.items()}


def train_theirs(texts: list[str], vocab_size: int) -> Any:
    import tokenizers as hf

    theirs = hf.Tokenizer(hf.models.BPE())
    theirs.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    theirs.decoder = hf.decoders.ByteLevel()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=hf.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def bench_training(texts: list[str], vocab_size: int, threads: int, turns: Turns) -> dict[str, Any]:
    from llmcore.tokenizers import train_bpe

    def ours() -> Any:
        return train_bpe(texts, vocab_size=vocab_size, special_tokens=SPECIALS, num_threads=threads)

    model = json.loads(train_theirs(texts, vocab_size).to_str())["model"]
    mine = ours()
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    assert mine.merges == merges and mine.tokens == list(model["vocab"]), "the merges differ"
    seconds = medians(
        {"llmcore": ours, "tokenizers": lambda: train_theirs(texts, vocab_size)}, turns
    )
    return {"what": "train", "vocab_size": vocab_size, "seconds": seconds}


def tiktoken_encoder(path: Path) -> Any:
    """The same vocabulary as ranks; ids differ, the number of tokens is checked."""
    import tiktoken

    from llmcore.tokenizers import Tokenizer

    ours = Tokenizer.load(path)
    special = ours.special_tokens
    plain = [i for i in range(ours.vocab_size) if i not in special.values()]
    ranks = {ours.id_to_bytes(i): rank for rank, i in enumerate(plain)}
    return tiktoken.Encoding("ours", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})


def bench_encoding(texts: list[str], path: Path, threads: int, turns: Turns) -> dict[str, Any]:
    import tokenizers as hf

    from llmcore.tokenizers import Tokenizer

    ours, theirs = Tokenizer.load(path), hf.Tokenizer.from_file(str(path))
    ids, _ = ours.encode_batch(texts, num_threads=threads)
    want = np.concatenate([np.array(e.ids) for e in theirs.encode_batch_fast(texts)])
    assert np.array_equal(ids, want), "the ids differ"
    contestants: dict[str, Callable[[], object]] = {
        "llmcore": lambda: ours.encode_batch(texts, num_threads=threads),
        "llmcore, new instance": lambda: Tokenizer(ours._vocabulary).encode_batch(texts, threads),
        "tokenizers": lambda: theirs.encode_batch_fast(texts),
    }
    ranked = tiktoken_encoder(path)
    if sum(map(len, ranked.encode_ordinary_batch(texts, num_threads=threads))) == len(ids):
        contestants["tiktoken"] = lambda: ranked.encode_ordinary_batch(texts, num_threads=threads)
    if threads == 1:
        contestants["llmcore, list per text"] = lambda: [ours.encode(t) for t in texts]
    return {"what": "encode", "seconds": medians(contestants, turns)}


def worker(threads: int, turns: Turns, quick: bool, folder: Path) -> list[dict[str, Any]]:
    rows = []
    for name, texts in corpora(quick).items():
        size = num_bytes(texts)
        for vocab_size in VOCAB_SIZES[: 1 if quick else None]:
            row = bench_training(texts, vocab_size, threads, turns._replace(most=3, least=1))
            rows.append({**row, "corpus": name, "bytes": size, "threads": threads})
        path = folder / f"{name}.json"
        if not path.exists():
            train_theirs(texts, VOCAB_SIZES[0 if quick else -1]).save(str(path))
        row = bench_encoding(texts, path, threads, turns)
        rows.append({**row, "corpus": name, "bytes": size, "threads": threads})
    return rows


def rows_of(row: dict[str, Any]) -> list[results.Row]:
    """The figures of one comparison; ratios are to `tokenizers`."""
    return [
        results.Row(
            op="bpe",
            phase=f"{row['what']} {row.get('vocab_size', '')}".strip(),
            dtype="utf-8",
            shape=f"{row['corpus']} {row['bytes'] // 1000} kB",
            name=name,
            threads=row["threads"],
            rounds=0,
            ms=1e3 * seconds,
            best_ms=0,
            num_bytes=row["bytes"],
            gb_per_s=row["bytes"] / seconds / 1e9,
            speedup=row["seconds"]["tokenizers"] / seconds,
        )
        for name, seconds in sorted(
            row["seconds"].items(), key=lambda item: item[0] == "tokenizers"
        )
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'':34}{'contestant':>24}{'seconds':>10}{'MB/s':>9}{'x tokenizers':>14}")
    for row in rows:
        label = f"{row['what']} {row.get('vocab_size', '')} {row['corpus']}, {row['threads']}T"
        for name, seconds in row["seconds"].items():
            speed = row["bytes"] / seconds / 1e6
            ratio = row["seconds"]["tokenizers"] / seconds
            print(f"{label:34}{name:>24}{seconds:10.3f}{speed:9.2f}{ratio:14.1f}")


def run_worker(threads: int, args: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    words = [sys.executable, __file__, "--worker", str(threads), "--rounds", str(args.rounds)]
    words += ["--seconds", str(args.seconds), "--folder", folder]
    words += ["--quick"] if args.quick else []
    environ = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="limit per comparison")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, default=REPO_ROOT / "runs/bench/bpe.json")
    parser.add_argument("--quick", action="store_true", help="a small part, to see that it runs")
    parser.add_argument("--worker", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        turns = Turns(args.rounds, args.seconds)
        print(json.dumps(worker(args.worker, turns, args.quick, args.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for threads in args.threads for row in run_worker(threads, args, folder)]
    versions = {name: version(name) for name in ("tokenizers", "tiktoken")}
    where = facts(torch.device("cpu"), max(args.threads)) | versions
    results.write(args.json, where, [found for row in rows for found in rows_of(row)])
    print(f"{versions}; {num_bytes(python_texts()) / 1e6:.1f} MB of Python text")
    print_table(rows)


if __name__ == "__main__":
    main()
