"""Adversarial texts: does the time grow in proportion to the text, and how fast is it?"""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.tokenizers.figures import Report, rows_of, take_turns, timed
from benchmarks.tokenizers.texts import HOSTILE, MODELS, hostile

BYTES = 1_000_000
MOST_GROWTH, LEAST_MB_PER_S = 2.2, 20
LEAST_ROUNDS = 5
VOCABULARIES = {
    "gpt2": "tokenizers.gpt2.json",
    "cl100k": "tiktoken.cl100k_base.tiktoken",
    "SentencePiece BPE": "sentencepiece.llama2.model",
    "Unigram": "sentencepiece.nai-t5.model",
    "WordPiece": "tokenizers.bert_base_cased.json",
}


def worst_cases(folder: Path, seconds: float) -> Report:
    """t(2n) / t(n) and MB/s of each vocabulary on each pattern; the table holds the worst."""
    from llmcore.tokenizers import Tokenizer

    report = Report()
    for kind, file in VOCABULARIES.items():
        if not (MODELS / file).is_file():
            report.missing(f"worst cases, {kind}", "the shared fixtures are absent", "")
            continue
        options = {"pattern": "cl100k_base"} if kind == "cl100k" else {}
        tokenizer = Tokenizer.load(MODELS / file, **options)
        growth, speed = {}, {}
        for name in HOSTILE:
            once, twice = hostile(name, BYTES, 1), hostile(name, 2 * BYTES, 2)

            def run(text: Any, encode: Any = tokenizer.encode_array) -> float:
                return timed(lambda: encode(text))

            runs = {"once": lambda t=once: run(t), "twice": lambda t=twice: run(t)}
            spent = take_turns(runs, seconds / len(HOSTILE), LEAST_ROUNDS)
            rows = rows_of(f"worst case {kind}", name, 1, BYTES, {"llmcore": spent["once"]})
            report.rows += rows
            once_s, twice_s = (statistics.median(spent[n]) for n in ("once", "twice"))
            growth[name], speed[name] = twice_s / once_s, BYTES / once_s / 1e6
        slowest, steepest = min(speed, key=speed.__getitem__), max(growth, key=growth.__getitem__)
        failed = {n for n in HOSTILE if speed[n] < LEAST_MB_PER_S or growth[n] > MOST_GROWTH}
        report.at_most(
            f"worst cases, {kind}, {len(HOSTILE)} patterns of 1 and 2 MB",
            f"{speed[slowest]:.0f} MB/s ({slowest}); t(2n)/t(n) {growth[steepest]:.2f} ({steepest})"
            + (f"; missed by {', '.join(sorted(failed))}" if failed else ""),
            "-",
            0.0,
            f">= {LEAST_MB_PER_S} MB/s and <= {MOST_GROWTH}",
            not failed,
        )
    return report
