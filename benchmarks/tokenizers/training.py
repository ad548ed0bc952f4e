"""Training speed, peak memory and what comes out, each trainer in a process of its own."""

import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.support.machine import extra_memory
from benchmarks.tokenizers import peers
from benchmarks.tokenizers.figures import Report, rows_of
from benchmarks.tokenizers.texts import num_bytes, read_corpus

THREADS = 2
BPE_VOCAB, UNIGRAM_VOCAB, WORDPIECE_VOCAB = 32_000, 32_000, 32_000
UNIGRAM_BYTES = 10_000_000
HELD_OUT_EVERY = 50
"""One line in so many is kept from the Unigram trainers."""
MOST_ROUNDS = 3


# ---------------------------------------------------------------- in the trainer's own process


def _lines(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from file


def _train_llmcore(algorithm: str, path: Path, vocab_size: int, out: Path) -> Callable[[], Any]:
    from llmcore.tokenizers import Tokenizer

    options = {} if algorithm == "bpe" else {"algorithm": algorithm}

    def train() -> Any:
        return Tokenizer.train(_lines(path), vocab_size=vocab_size, num_threads=THREADS, **options)

    return train


def _train_tokenizers(algorithm: str, path: Path, vocab_size: int, out: Path) -> Callable[[], Any]:
    import tokenizers as hf

    def train() -> Any:
        if algorithm == "bpe":
            tokenizer = hf.Tokenizer(hf.models.BPE())
            tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
            alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
            trainer = hf.trainers.BpeTrainer(
                vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
            )
        else:
            tokenizer = hf.Tokenizer(hf.models.WordPiece(unk_token="[UNK]"))
            tokenizer.normalizer = hf.normalizers.BertNormalizer()
            tokenizer.pre_tokenizer = hf.pre_tokenizers.BertPreTokenizer()
            trainer = hf.trainers.WordPieceTrainer(
                vocab_size=vocab_size, special_tokens=["[UNK]"], show_progress=False
            )
        tokenizer.train_from_iterator(_lines(path), trainer)
        return tokenizer

    return train


def _train_sentencepiece(
    algorithm: str, path: Path, vocab_size: int, out: Path
) -> Callable[[], Any]:
    import sentencepiece as spm

    def train() -> Any:
        spm.SentencePieceTrainer.train(
            input=str(path),
            model_prefix=str(out / "sentencepiece"),
            model_type=algorithm,
            vocab_size=vocab_size,
            num_threads=THREADS,
            max_sentence_length=1_000_000,
            minloglevel=2,
        )

    return train


TRAINERS = {
    "llmcore": _train_llmcore,
    "tokenizers": _train_tokenizers,
    "sentencepiece": _train_sentencepiece,
}


def _result(who: str, algorithm: str, trained: Any, out: Path) -> str:
    """A digest of the merges; a Unigram model is left in `out` instead."""
    if algorithm == "unigram" and who == "llmcore":
        trained.save(out / "llmcore.model", format="sentencepiece")
    if algorithm != "bpe" or who == "sentencepiece":
        return ""
    if who == "llmcore":
        trained.save(out / "llmcore.json")
        text = (out / "llmcore.json").read_text(encoding="utf-8")
    else:
        text = trained.to_str()
    merges = [
        m.split(" ") if isinstance(m, str) else m for m in json.loads(text)["model"]["merges"]
    ]
    return hashlib.sha256(json.dumps(merges).encode()).hexdigest()


def _child(who: str, algorithm: str, path: str, vocab_size: str, out: str) -> None:
    from llmcore.errors import ConfigError

    train = TRAINERS[who](algorithm, Path(path), int(vocab_size), Path(out))
    held: list[Any] = []
    spent: list[float] = []

    def run() -> None:
        started = time.perf_counter()
        held.append(train())
        spent.append(time.perf_counter() - started)

    try:
        memory = extra_memory(run)
    except ConfigError as error:
        print(json.dumps({"error": str(error)}))
        return
    result = _result(who, algorithm, held[0], Path(out))
    print(json.dumps({"seconds": spent[0], "memory": memory, "result": result}))


# ---------------------------------------------------------------- the comparison


class Runs:
    """Trainers in turns on one file: seconds and bytes of every run."""

    def __init__(self, algorithm: str, path: Path, vocab_size: int, out: Path) -> None:
        self.words = [algorithm, str(path), str(vocab_size), str(out)]
        self.seconds: dict[str, list[float]] = {}
        self.memory: dict[str, float] = {}
        self.results: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def run(self, names: list[str], seconds: float) -> None:
        """At least one round; more while half of `seconds` are left. No rival without ours."""
        began = time.perf_counter()
        for turn in range(MOST_ROUNDS):
            if turn > 0 and time.perf_counter() - began > seconds / 2:
                return
            for name in names:
                self._run_once(name)
                if self.errors:
                    return

    def _run_once(self, name: str) -> None:
        words = [sys.executable, "-m", "benchmarks.tokenizers.training", name, *self.words]
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}")
        found = json.loads(done.stdout.splitlines()[-1])
        if "error" in found:
            self.errors[name] = found["error"]
            return
        self.seconds.setdefault(name, []).append(found["seconds"])
        self.memory[name] = max(self.memory.get(name, 0.0), found["memory"])
        self.results[name] = found["result"]

    def compare(self, report: Report, what: str, rival: str, least: float, memory: float) -> None:
        """Lines for the speed against `rival` and, with `memory`, for the peak."""
        if "llmcore" in self.errors or rival not in self.seconds:
            why = "not available" if "llmcore" in self.errors else f"{rival} is not installed"
            report.missing(f"{what}, against {rival}", why, f">= {least:g}x")
            return
        mine, theirs = (statistics.median(self.seconds[n]) for n in ("llmcore", rival))
        report.at_least(what, f"{mine:.2f} s", f"{rival} {theirs:.2f} s", theirs / mine, least)
        if not memory:
            return
        ours_mb, their_mb = (self.memory[n] / 1e6 for n in ("llmcore", rival))
        share = ours_mb / their_mb if their_mb else math.inf
        report.at_most(
            f"{what}, peak memory added",
            f"{ours_mb:.0f} MB",
            f"{rival} {their_mb:.0f} MB",
            share,
            f"<= {memory:g}x",
            share <= memory,
        )


def _trainers(*wanted: str) -> list[str]:
    return ["llmcore", *(name for name in wanted if peers.has(name))]


def _write_lines(path: Path, texts: list[str]) -> int:
    """The texts one after the other; returns the bytes."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(text if text.endswith("\n") else text + "\n" for text in texts)
    return path.stat().st_size


def _add_rows(report: Report, phase: str, size: int, runs: Runs) -> None:
    memory = {name: found / 1e6 for name, found in runs.memory.items()}
    if runs.seconds:
        shape = f"English + code {size // 1000} kB"
        report.rows += rows_of(phase, shape, THREADS, size, runs.seconds, memory)


def bpe_training(folder: Path, seconds: float) -> Report:
    """32,000 byte-level tokens; the merges equal those of `tokenizers`."""
    report = Report()
    path = folder / "english.txt"
    size = _write_lines(path, read_corpus(folder, "english"))
    runs = Runs("bpe", path, BPE_VOCAB, folder)
    runs.run(_trainers("tokenizers"), seconds)
    if "tokenizers" in runs.results:
        assert runs.results["llmcore"] == runs.results["tokenizers"], "the merges differ"
    runs.run(_trainers("sentencepiece")[1:], 0)
    what = f"BPE training, {BPE_VOCAB} tokens, {size / 1e6:.0f} MB, {THREADS} threads"
    runs.compare(report, what, "tokenizers", 8, 1 / 4)
    runs.compare(report, what, "sentencepiece", 3, 0)
    _add_rows(report, f"train bpe {BPE_VOCAB}", size, runs)
    return report


def _sample_lines(texts: list[str], size: int) -> tuple[list[str], list[str]]:
    """Lines for training and held-out ones, from every few lines of all texts."""
    lines = [line for text in texts for line in text.splitlines() if 0 < len(line) < 4000]
    step = max(1, num_bytes(lines) // size)
    kept = lines[::step]
    held_out = kept[::HELD_OUT_EVERY]
    return [line for i, line in enumerate(kept) if i % HELD_OUT_EVERY], held_out


def _log_likelihood(model: Path, lines: list[str]) -> float:
    """Sum of the best segmentations' log-probabilities, by sentencepiece itself."""
    import sentencepiece as spm

    processor = spm.SentencePieceProcessor(model_file=str(model))
    scores = [processor.get_score(i) for i in range(processor.get_piece_size())]
    return sum(scores[i] for ids in processor.encode(lines) for i in ids)


def unigram_training(folder: Path, seconds: float) -> Report:
    """Speed, memory, and the likelihood of lines that neither trainer saw."""
    report = Report()
    train, held_out = _sample_lines(read_corpus(folder, "english"), UNIGRAM_BYTES)
    path = folder / "lines.txt"
    size = _write_lines(path, train)
    runs = Runs("unigram", path, UNIGRAM_VOCAB, folder)
    runs.run(_trainers("sentencepiece"), seconds)
    what = f"Unigram training, {UNIGRAM_VOCAB} pieces, {size / 1e6:.0f} MB, {THREADS} threads"
    runs.compare(report, what, "sentencepiece", 5, 1 / 2)
    _add_rows(report, f"train unigram {UNIGRAM_VOCAB}", size, runs)
    if "llmcore" in runs.errors or "sentencepiece" not in runs.seconds:
        report.missing("Unigram training, held-out log-likelihood", "not available", "within 0.1 %")
        return report
    ours, theirs = (
        _log_likelihood(folder / f"{n}.model", held_out) for n in ("llmcore", "sentencepiece")
    )
    worse = ours / theirs - 1
    report.at_most(
        "Unigram training, held-out log-likelihood",
        f"{ours:.0f} ({100 * worse:+.3f} % of the loss)",
        f"sentencepiece {theirs:.0f}",
        ours / theirs,
        "within 0.1 %",
        worse <= 0.001,
    )
    return report


def wordpiece_training(folder: Path, seconds: float) -> Report:
    """No target; `tokenizers` trains WordPiece as BPE with marks."""
    report = Report()
    path = folder / "lines.txt"
    train, _ = _sample_lines(read_corpus(folder, "english"), UNIGRAM_BYTES)
    size = _write_lines(path, train)
    runs = Runs("wordpiece", path, WORDPIECE_VOCAB, folder)
    runs.run(_trainers("tokenizers"), seconds)
    what = f"WordPiece training, {WORDPIECE_VOCAB} tokens, {size / 1e6:.0f} MB"
    runs.compare(report, what, "tokenizers", 1, 0)
    _add_rows(report, f"train wordpiece {WORDPIECE_VOCAB}", size, runs)
    return report


if __name__ == "__main__":
    _child(*sys.argv[1:])
