"""Encoding speed, cold (the first pass of a new instance) and warm, against each peer."""

from pathlib import Path
from typing import Any

from benchmarks.tokenizers import peers
from benchmarks.tokenizers.figures import Report, mb_per_s, ratio, rows_of, take_turns, timed
from benchmarks.tokenizers.peers import Peer
from benchmarks.tokenizers.texts import MODELS, SLOW_PART, first_part, num_bytes, read_corpus

STATES = ("cold", "warm")
LABELS = {"english": "English + code", "japanese": "Japanese"}


def race(found: list[Peer], texts: list[str], seconds: float) -> dict[str, list[float]]:
    """Seconds over all texts of every package, keyed `name, cold` and `name, warm`.

    A slow package encodes a part and its time is scaled up.
    """
    part = first_part(texts, SLOW_PART)
    peers.check_same_ids(found, part)
    scale = num_bytes(texts) / num_bytes(part)

    def contestant(peer: Peer) -> tuple[Any, Any]:
        held: list[Any] = []
        own = part if peer.is_slow else texts
        factor = scale if peer.is_slow else 1.0

        def cold() -> float:
            held[:] = [peer.load()]
            return factor * timed(lambda: peer.encode(held[0], own))

        return cold, lambda: factor * timed(lambda: peer.encode(held[0], own))

    runs: dict[str, Any] = {}
    for peer in found:
        runs[f"{peer.name}, cold"], runs[f"{peer.name}, warm"] = contestant(peer)
    return take_turns(runs, seconds)


def _rows(report: Report, phase: str, shape: str, size: float, spent: dict[str, Any], threads: int):
    for state in STATES:
        own = {n.split(",")[0]: s for n, s in spent.items() if n.endswith(state)}
        report.rows += rows_of(f"{phase} {state}", shape, threads, size, own)


def _against(
    report: Report, what: str, spent: dict[str, Any], size: float, peer: str, state: str, least
) -> None:
    ours, theirs = f"llmcore, {state}", f"{peer}, {state}"
    if theirs not in spent:
        return report.missing(f"{what}, {state}", f"{peer} is not installed", f">= {least:g}x")
    report.at_least(
        f"{what}, {state}",
        mb_per_s(size, spent[ours]),
        f"{peer} {mb_per_s(size, spent[theirs])}",
        ratio(spent, theirs, ours),
        least,
    )


def byte_level(folder: Path, seconds: float) -> Report:
    """GPT-2's and cl100k's vocabularies, one thread."""
    report = Report()
    for kind in ("gpt2", "cl100k"):
        for name, label in LABELS.items():
            texts = read_corpus(folder, name)
            what = f"{kind}, {label}, 1 thread"
            if not texts or not MODELS.is_dir():
                report.missing(what, "the shared fixtures are absent", "")
                continue
            size = num_bytes(texts)
            spent = race(peers.byte_level(kind), texts, seconds)
            _rows(report, f"encode {kind}", f"{label} {size // 1000} kB", size, spent, 1)
            for state in STATES:
                if name == "english" and state == "warm":
                    _against(report, what, spent, size, "tiktoken", state, 30)
                least = 1 if name == "english" else 2
                _against(report, what, spent, size, "gigatoken", state, least)
    return report


def two_threads(folder: Path, seconds: float) -> Report:
    """The same instance and texts with one thread and with two."""
    report = Report()
    if not MODELS.is_dir():
        report.missing("gpt2, two threads", "the shared fixtures are absent", ">= 1.8x")
        return report
    texts = read_corpus(folder, "english")
    size = num_bytes(texts)
    one, two = (peers.llmcore(MODELS / "tokenizers.gpt2.json", n) for n in (1, 2))
    held = one.load()

    def cold(peer: Peer) -> float:
        new = peer.load()
        return timed(lambda: peer.encode(new, texts))

    spent = take_turns(
        {
            "two, warm": lambda: timed(lambda: two.encode(held, texts)),
            "one, warm": lambda: timed(lambda: one.encode(held, texts)),
            "two, cold": lambda: cold(two),
            "one, cold": lambda: cold(one),
        },
        seconds,
        least=5,
    )
    for state in reversed(STATES):
        own = {f"llmcore, {n}": spent[f"{n}, {state}"] for n in ("two", "one")}
        report.rows += rows_of(f"batch {state}", f"English + code {size // 1000} kB", 2, size, own)
        report.at_least(
            f"gpt2, batch, 2 threads over 1, {state}",
            mb_per_s(size, spent[f"two, {state}"]),
            f"1 thread {mb_per_s(size, spent[f'one, {state}'])}",
            ratio(spent, f"one, {state}", f"two, {state}"),
            1.8,
        )
    return report


OTHER_MODELS = (
    ("SentencePiece BPE (Llama 2)", "sentencepiece.llama2.model", "sentencepiece", 20),
    ("Unigram (T5)", "sentencepiece.nai-t5.model", "sentencepiece", 15),
    ("WordPiece (BERT cased)", "tokenizers.bert_base_cased.json", "tokenizers", 30),
)


def other_models(folder: Path, seconds: float) -> Report:
    """SentencePiece's two algorithms and WordPiece, one thread."""
    report = Report()
    for what, file, package, least in OTHER_MODELS:
        if not (MODELS / file).is_file():
            report.missing(what, "the shared fixtures are absent", f">= {least}x")
            continue
        make = {"sentencepiece": peers.sentencepiece, "tokenizers": peers.tokenizers}[package]
        found = [peers.llmcore(MODELS / file)]
        if what.startswith("SentencePiece") and peers.has("gigatoken"):
            found.append(peers.gigatoken(MODELS / file))
        if peers.has(package):
            found.append(make(MODELS / file))
        for name, label in LABELS.items():
            texts = read_corpus(folder, name)
            if not texts:
                continue
            size = num_bytes(texts)
            racing = [found[0]]
            for peer in found[1:]:
                reason = peers.difference(found[0], peer, first_part(texts, SLOW_PART))
                if reason and peer.name != package:
                    report.gaps.append(f"{what}, {label}: {reason}")
                else:
                    racing.append(peer)
            spent = race(racing, texts, seconds)
            _rows(report, f"encode {what}", f"{label} {size // 1000} kB", size, spent, 1)
            for state in STATES:
                _against(report, f"{what}, {label}", spent, size, package, state, least)
    return report
