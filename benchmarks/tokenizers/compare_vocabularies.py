"""How long a vocabulary makes a text, and how fast it is applied: a table, JSON and a plot.

    python -m benchmarks.tokenizers.compare_vocabularies [--sizes 1024 4096 ...] [--out FOLDER]
        [--quick]

Every algorithm that `Tokenizer.train` knows learns vocabularies of several sizes from four fifths
of each corpus and encodes the rest, which it has not seen. Published vocabularies of the shared
fixtures encode the same text. Corpora: the interpreter's help topics and library source (English
and code), and the novels of the shared fixtures where present.

Tokens per byte are exact and repeatable. MB/s are one thread's, warm, the best of `--rounds`;
compare them within one run only.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import torch
from matplotlib.figure import Figure

from benchmarks.support.machine import facts
from llmcore.data.python_corpus import python_documents
from llmcore.errors import ConfigError
from llmcore.tokenizers import Tokenizer

REPO_ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(os.environ.get("LLMCORE_FIXTURES", REPO_ROOT.parent / "shared" / "fixtures"))
ALGORITHMS = ("bpe", "wordpiece", "unigram")
SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768)
PUBLISHED = {
    "GPT-2": "tokenizers.gpt2.json",
    "cl100k": "tiktoken.cl100k_base.tiktoken",
    "Llama 2": "sentencepiece.llama2.model",
    "BERT": "tokenizers.bert_base_cased.json",
}
COLOURS = {"bpe": "#2f6fdd", "wordpiece": "#d9822b", "unigram": "#3d9970"}
HELD_OUT = 5
"""One text in so many is encoded and not trained on."""


class Corpus(NamedTuple):
    """Texts to learn from, and texts to encode."""

    name: str
    seen: list[str]
    unseen: list[str]


def corpora(quick: bool) -> Iterator[Corpus]:
    """The corpora of this machine."""
    texts = {"Python: English and code": [d.text for d in python_documents() if d.text]}
    for name, file in (("English novel", "botchan"), ("Japanese novel", "wagahaiwa_nekodearu")):
        path = FIXTURES / "corpora" / f"{file}.txt"
        if path.is_file():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            texts[name] = ["".join(lines[i : i + 50]) for i in range(0, len(lines), 50)]
    for name, parts in texts.items():
        parts = parts[:100] if quick else parts
        unseen = parts[::HELD_OUT]
        yield Corpus(name, [t for i, t in enumerate(parts) if i % HELD_OUT], unseen)


def vocabularies(corpus: Corpus, sizes: list[int]) -> Iterator[tuple[str, Tokenizer]]:
    """Trained ones, as far as the text gives so many tokens, then those of the fixtures."""
    for algorithm in ALGORITHMS:
        for size in sizes:
            try:
                tokenizer = Tokenizer.train(corpus.seen, algorithm=algorithm, vocab_size=size)
            except ConfigError as error:
                print(f"{corpus.name}, {algorithm} of {size} ids: {error}", flush=True)
                continue
            yield algorithm, tokenizer
            if tokenizer.vocab_size < size:
                break
    for name, file in PUBLISHED.items():
        path = FIXTURES / "tokenizers" / "models" / file
        if path.is_file():
            yield name, Tokenizer.load(path)


def measure(corpus: Corpus, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """One row per vocabulary; they take turns, so that what else the machine does hits all."""
    data = [text.encode() for text in corpus.unseen]
    num_bytes = sum(map(len, data))
    rows, encoders = [], []
    for name, tokenizer in vocabularies(corpus, sizes):
        ids, _ = tokenizer.encode_batch(data, 1)
        row = {"corpus": corpus.name, "vocabulary": name, "ids": tokenizer.vocab_size}
        row |= {"bytes": num_bytes, "tokens": len(ids), "tokens_per_byte": len(ids) / num_bytes}
        rows.append(row)
        encoders.append(tokenizer)
    best = [float("inf")] * len(rows)
    for _ in range(rounds):
        for i, tokenizer in enumerate(encoders):
            tokenizer.encode_batch(data, 1)  # the caches hold another's words
            began = time.perf_counter()
            tokenizer.encode_batch(data, 1)
            best[i] = min(best[i], time.perf_counter() - began)
    return [row | {"mb_per_s": num_bytes / t / 1e6} for row, t in zip(rows, best, strict=True)]


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Above tokens per byte, below MB/s, by vocabulary size; one column per corpus."""
    names = list(dict.fromkeys(row["corpus"] for row in rows))
    figure = Figure(figsize=(4 * len(names), 6.4), layout="constrained")
    grid = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for column, name in enumerate(names):
        here = [row for row in rows if row["corpus"] == name]
        for axes, value in zip(grid[:, column], ("tokens_per_byte", "mb_per_s"), strict=True):
            for algorithm in ALGORITHMS:
                line = [row for row in here if row["vocabulary"] == algorithm]
                points = [row["ids"] for row in line], [row[value] for row in line]
                if line:
                    axes.plot(*points, "o-", ms=3.5, color=COLOURS[algorithm], label=algorithm)
            for row in here:
                if row["vocabulary"] not in ALGORITHMS:
                    axes.plot(row["ids"], row[value], "x", color="#555555")
                    axes.annotate(
                        row["vocabulary"],
                        (row["ids"], row[value]),
                        xytext=(4, -9 if row["vocabulary"] == "BERT" else 3),
                        textcoords="offset points",
                        fontsize=7,
                    )
            axes.set_xscale("log", base=2)
            axes.set_xlim(right=300_000)
            axes.set_xticks([2**n for n in range(9, 18, 2)], [str(2**n) for n in range(9, 18, 2)])
            axes.margins(y=0.1)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.25)
        grid[0, column].set_title(f"{name}, {here[0]['bytes'] / 1e6:.2f} MB", fontsize=10)
        grid[1, column].set_xlabel("ids")
    grid[0, 0].set_ylabel("tokens per byte")
    grid[1, 0].set_ylabel("MB/s, one thread")
    grid[0, 0].legend(frameon=False, fontsize=8)
    return figure


def print_table(rows: list[dict[str, Any]]) -> None:
    """The rows as a table in Markdown."""
    print("| corpus | vocabulary | ids | tokens per byte | MB/s |\n|---|---|--:|--:|--:|")
    for row in rows:
        cells = [row["corpus"], row["vocabulary"], f"{row['ids']:,}"]
        cells += [f"{row['tokens_per_byte']:.4f}", f"{row['mb_per_s']:.0f}"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=REPO_ROOT / "runs" / "bench")
    parser.add_argument("--quick", action="store_true", help="a small part, to see that it runs")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for corpus in corpora(args.quick):
        rows += measure(corpus, args.sizes, args.rounds)
    args.out.mkdir(parents=True, exist_ok=True)
    document = {"facts": facts(torch.device("cpu"), 1), "rows": rows}
    (args.out / "vocabularies.json").write_text(json.dumps(document, indent=1) + "\n")
    with matplotlib.rc_context({"svg.hashsalt": "llmcore", "font.size": 9}):
        figure = draw(rows)
        figure.savefig(args.out / "vocabularies.svg", metadata={"Date": None})
        figure.savefig(args.out / "vocabularies.png", dpi=110)
    print_table(rows)
    print(f"\n{args.out}/vocabularies.json .svg .png")


if __name__ == "__main__":
    main()
