"""Generation speed of the quickstart model against transformers' generate, greedy, side by side.

python benchmarks/models/bench_decode.py --json out.json
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.support import results
from benchmarks.support.machine import facts
from llmcore.decoding import SamplingParams
from llmcore.inference import generate, stream
from llmcore.models import Decoder, DecoderConfig, save_pretrained

Prompts = list[list[int]]
CONFIG = DecoderConfig(
    vocab_size=4096,
    hidden_size=256,
    intermediate_size=640,
    num_layers=4,
    num_heads=8,
    num_kv_heads=4,
    head_dim=32,
    max_seq_len=512,
    init_std=0.08,
)


def their_generate(model: Any, prompts: Prompts, num_new: int) -> list[list[int]]:
    longest = max(map(len, prompts))
    padding = [longest - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * n + p for n, p in zip(padding, prompts, strict=True)])
    mask = torch.tensor([[0] * n + [1] * (longest - n) for n in padding])
    out = model.generate(
        ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=num_new,
        pad_token_id=0,
        eos_token_id=None,
    )
    return out[:, longest:].tolist()


def time_in_turns(
    runs: dict[str, Callable[[], object]], num_rounds: int, max_seconds: float
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for turn in range(num_rounds + 1):
        if turn > 3 and time.perf_counter() - began > max_seconds:
            break
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn > 0:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {"threads": 2, "rounds": 5, "batch": 64, "new-tokens": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=60.0, help="limit per case")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours = Decoder(CONFIG)
    with tempfile.TemporaryDirectory() as directory:
        save_pretrained(ours, directory)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(directory)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 60, (args.batch,), generator=generator).tolist()
    prompts = [torch.randint(4096, (n,), generator=generator).tolist() for n in lengths]
    params = SamplingParams(max_new_tokens=args.new_tokens)
    cases = {
        f"batch {args.batch}, prompts of 20-59": (
            args.batch,
            {
                "llmcore": lambda: generate(ours, prompts, params, batch_size=args.batch),
                "transformers": lambda: their_generate(theirs, prompts, args.new_tokens),
            },
        ),
        "one prompt, streamed": (
            1,
            {
                "llmcore": lambda: list(stream(ours, prompts[0], params)),
                "transformers": lambda: their_generate(theirs, prompts[:1], args.new_tokens),
            },
        ),
    }
    print(f"{CONFIG.num_params():,} parameters, float32, {args.threads} threads")
    print(f"{'':28}{'':14}{'tokens/s':>10}{'llmcore is':>12}")
    rows = []
    for case, (batch, runs) in cases.items():
        times = time_in_turns(runs, args.rounds, args.seconds)
        our_median = statistics.median(times["llmcore"])
        for name, samples in times.items():
            median = statistics.median(samples)
            rate = batch * args.new_tokens / median
            print(f"{case:28}{name:14}{rate:10.0f}{median / our_median:11.2f}x")
            rows.append(
                results.Row(
                    op="generate",
                    phase="decode",
                    dtype="float32",
                    shape=case,
                    name=name,
                    threads=args.threads,
                    rounds=len(samples),
                    ms=1e3 * median,
                    best_ms=1e3 * min(samples),
                    speedup=statistics.median(times["transformers"]) / median,
                )
            )
    if args.json:
        results.write(args.json, facts(torch.device("cpu"), args.threads), rows)


if __name__ == "__main__":
    main()
