"""Byte-level BPE against `tokenizers` (and `tiktoken` for encoding), side by side.

    python benchmarks/tokenizers/bench_bpe.py [--rounds 5] [--seconds S] [--json PATH] [--quick]

Each thread count runs in a process of its own, since `tokenizers` fixes its pool at first use.
Within it the contestants take turns, `rounds` times; a figure is the median. Before any timing the
merges and the ids are checked to be equal. Texts: the interpreter's help topics and library source,
and the Japanese novel of the shared fixtures where present.

"gpt2" rows: GPT-2's vocabulary of the fixtures on large texts (English and code: the sources and
documentation of the standard library and of installed packages, 50 MB; Japanese: slices of the
novel, 10 MB), against `gigatoken` too where it is installed. "cold" is the first pass of a new
instance, loading not counted. `tokenizers` and `tiktoken` encode the first 4 MB only; their time is
scaled up.
"""

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
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


LARGE_ENGLISH, LARGE_JAPANESE, SLOW_PART = 50_000_000, 10_000_000, 4_000_000


def installed_texts(least: int) -> list[str]:
    """English and code: text files of the standard library, then of the installed packages."""
    texts, size = [], 0
    for root in (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]):
        for path in sorted(Path(root).rglob("*")):
            if path.suffix not in {".py", ".txt", ".md", ".rst"} or not path.is_file():
                continue
            text = path.read_bytes().decode("utf-8", errors="ignore")
            if text and "<|" not in text and len(text) < 2_000_000:
                texts.append(text)
                size += len(text.encode())
            if size >= least:
                return texts
    return texts


def novel_slices(least: int) -> list[str]:
    """Slices of the Japanese novel, all different."""
    path = FIXTURES / "corpora" / "wagahaiwa_nekodearu.txt"
    if not path.is_file():
        return []
    novel, rng, texts, size = path.read_text("utf-8"), random.Random(0), [], 0
    while size < least:
        begin = rng.randrange(len(novel) - 40_000)
        texts.append(novel[begin : begin + rng.randrange(10_000, 40_000)])
        size += len(texts[-1].encode())
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


def first_part(texts: list[str], size: int) -> list[str]:
    part: list[str] = []
    for text in texts:
        if size <= 0:
            break
        part.append(text)
        size -= len(text.encode())
    return part


class Entrant(NamedTuple):
    """How one package loads a vocabulary and encodes; `part` of the texts, if not all."""

    load: Callable[[], Any]
    encode: Callable[[Any, list[str]], Any]
    part: list[str]
    flat: Callable[[Any], Any]  # all ids of a result, for the comparison


def gpt2_entrants(texts: list[str], threads: int) -> dict[str, Entrant]:
    import tokenizers as hf

    from llmcore.tokenizers import Tokenizer

    path = FIXTURES / "tokenizers" / "models" / "tokenizers.gpt2.json"
    part = first_part(texts, SLOW_PART)
    entrants = {
        "llmcore": Entrant(
            lambda: Tokenizer.load(path),
            lambda t, x: t.encode_batch(x, threads),
            texts,
            lambda got: got[0],
        ),
        "tokenizers": Entrant(
            lambda: hf.Tokenizer.from_file(str(path)),
            lambda t, x: t.encode_batch_fast(x),
            part,
            lambda got: np.concatenate([np.array(e.ids, np.uint32) for e in got]),
        ),
        "tiktoken": Entrant(
            lambda: tiktoken_encoder(path),
            lambda t, x: t.encode_ordinary_batch(x, num_threads=threads),
            part,
            lambda got: np.concatenate([np.array(ids, np.uint32) for ids in got]),
        ),
    }
    if importlib.util.find_spec("gigatoken"):
        import gigatoken

        entrants["gigatoken"] = Entrant(
            lambda: gigatoken.Tokenizer(str(path)),
            lambda t, x: t.encode_batch(x, parallel=threads > 1),
            texts,
            lambda got: np.concatenate([np.asarray(row) for row in got]),
        )
    return entrants


def bench_gpt2(texts: list[str], threads: int, turns: Turns) -> dict[str, Any]:
    entrants = gpt2_entrants(texts, threads)
    part = first_part(texts, SLOW_PART)
    want = entrants["tokenizers"].flat(
        entrants["tokenizers"].encode(entrants["tokenizers"].load(), part)
    )
    for name, entrant in entrants.items():
        got = entrant.flat(entrant.encode(entrant.load(), part))
        assert np.array_equal(got, want), f"the ids of {name} differ"
    seconds: dict[str, list[float]] = {}
    began = time.perf_counter()
    for turn in range(turns.most):
        if turn >= turns.least and time.perf_counter() - began > turns.seconds:
            break
        for name, entrant in entrants.items():
            instance = entrant.load()
            for state in ("cold", "warm"):
                started = time.perf_counter()
                result = entrant.encode(instance, entrant.part)
                spent = (time.perf_counter() - started) * num_bytes(texts) / num_bytes(entrant.part)
                seconds.setdefault(name if state == "warm" else f"{name}, cold", []).append(spent)
                del result
    return {
        "what": "gpt2",
        "seconds": {name: statistics.median(spent) for name, spent in seconds.items()},
    }


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
    rows += gpt2_rows(threads, turns, quick)
    return rows


def gpt2_rows(threads: int, turns: Turns, quick: bool) -> list[dict[str, Any]]:
    if not (FIXTURES / "tokenizers").is_dir():
        return []
    scale = 20 if quick else 1
    rows = []
    for name, texts in (
        ("english+code", installed_texts(LARGE_ENGLISH // scale)),
        ("japanese", novel_slices(LARGE_JAPANESE // scale)),
    ):
        row = bench_gpt2(texts, threads, turns)
        rows.append({**row, "corpus": name, "bytes": num_bytes(texts), "threads": threads})
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
    words += ["--only-gpt2"] if args.only_gpt2 else []
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
    parser.add_argument("--only-gpt2", action="store_true", help="the large texts alone")
    parser.add_argument("--worker", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        turns = Turns(args.rounds, args.seconds)
        if args.only_gpt2:
            print(json.dumps(gpt2_rows(args.worker, turns, args.quick)))
            return
        print(json.dumps(worker(args.worker, turns, args.quick, args.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for threads in args.threads for row in run_worker(threads, args, folder)]
    peers = ("tokenizers", "tiktoken", "gigatoken")
    versions = {name: version(name) for name in peers if importlib.util.find_spec(name)}
    where = facts(torch.device("cpu"), max(args.threads)) | versions
    results.write(args.json, where, [found for row in rows for found in rows_of(row)])
    print(f"{versions}; {num_bytes(python_texts()) / 1e6:.1f} MB of Python text")
    print_table(rows)


if __name__ == "__main__":
    main()
