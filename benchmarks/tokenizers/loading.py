"""Seconds to load a vocabulary of 200,000 tokens, learned here from the English corpus."""

import statistics
from functools import partial
from pathlib import Path

from benchmarks.tokenizers import peers
from benchmarks.tokenizers.figures import Report, rows_of, take_turns, timed
from benchmarks.tokenizers.texts import read_corpus

VOCAB_SIZE = 200_000
TARGET_MS = 60


def loading(folder: Path, seconds: float) -> Report:
    """`tokenizer.json`, tiktoken ranks and our own directory."""
    from llmcore.tokenizers import Tokenizer

    report = Report()
    # The longest that a file of ranks may hold is 1024 bytes.
    trained = Tokenizer.train(
        read_corpus(folder, "english"), vocab_size=VOCAB_SIZE, max_token_length=256
    )
    options = {"ranks.tiktoken": {"pattern": "gpt2"}}
    formats = {"tokenizer.json": None, "ranks.tiktoken": "tiktoken", "own": "llmcore"}
    for name, form in formats.items():
        path = folder / name
        trained.save(path, format=form)
        found = [peers.llmcore(path, **options.get(name, {}))]
        if name == "tokenizer.json":
            found += [
                make(path)
                for make in (peers.gigatoken, peers.tokenizers)
                if peers.has(make.__name__)
            ]
        elif name == "ranks.tiktoken" and peers.has("tiktoken"):
            found.append(peers.tiktoken(path, peers.GPT2_PATTERN))
        spent = take_turns({p.name: partial(timed, p.load) for p in found}, seconds)
        report.rows += rows_of("load", f"{name} {trained.vocab_size}", 1, 0, spent)
        ms = {who: 1e3 * statistics.median(found) for who, found in spent.items()}
        rival = list(ms)[-1]
        report.at_most(
            f"load {trained.vocab_size} tokens, {name}",
            f"{ms['llmcore']:.1f} ms",
            f"{rival} {ms[rival]:.1f} ms" if rival != "llmcore" else "-",
            ms[rival] / ms["llmcore"] if rival != "llmcore" else 0.0,
            f"<= {TARGET_MS} ms",
            ms["llmcore"] <= TARGET_MS,
        )
    return report
