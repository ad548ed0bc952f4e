"""Training throughput of the quickstart model against transformers' LlamaForCausalLM, side by side.

Same weights, batch, threads and optimiser (AdamW, fused in both); one step is forward, backward and
update. The two take turns, so that a busy machine slows both; medians are compared.

    python benchmarks/models/bench_train_throughput.py --json out.json
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
from torch import Tensor

from benchmarks.support import results
from benchmarks.support.machine import facts
from llmcore.losses import token_cross_entropy
from llmcore.models import Decoder, DecoderConfig, save_pretrained
from llmcore.optim import AdamW, OptimConfig

Step = Callable[[Tensor], float]


def model_config(args: argparse.Namespace) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        intermediate_size=args.ffn,
        num_layers=args.layers,
        num_heads=args.heads,
        num_kv_heads=args.kv_heads,
        head_dim=args.hidden // args.heads,
        max_seq_len=args.seq_len,
    )


def our_step(model: Decoder) -> Step:
    optimizer = AdamW(model.named_parameters(), OptimConfig(betas=(0.9, 0.999)))

    def step(ids: Tensor) -> float:
        logits = model(ids[:, :-1])
        result = token_cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss = result.loss_sum / result.num_tokens
        loss.backward()
        optimizer.step(lr=1e-4)
        optimizer.zero_grad()
        return loss.item()

    return step


def their_step(model: Any) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(ids: Tensor) -> float:
        logits = model(ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def their_native_step(model: Any) -> Step:
    """As transformers computes the loss itself from `labels`, which shifts inside the model."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(ids: Tensor) -> float:
        loss = model(ids[:, :-1], labels=ids[:, :-1], use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def build_steps(config: DecoderConfig, *, compiled: bool) -> dict[str, Step]:
    def load(directory: str, attention: str) -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(
            directory, attn_implementation=attention
        ).train()

    with tempfile.TemporaryDirectory() as directory:
        ours = Decoder(config)
        save_pretrained(ours, directory)
        steps = {
            "llmcore": our_step(ours),
            "transformers eager": their_step(load(directory, "eager")),
            "transformers eager, its own loss": their_native_step(load(directory, "eager")),
            "transformers sdpa": their_step(load(directory, "sdpa")),
        }
        if compiled:
            steps["transformers eager, compiled"] = their_step(
                torch.compile(load(directory, "eager"))
            )
        return steps


def measure(
    steps: dict[str, Step], ids: Tensor, num_rounds: int, max_seconds: float
) -> dict[str, list[float]]:
    losses = {name: step(ids) for name, step in steps.items()}  # warm-up
    spread = abs(losses["llmcore"] - losses["transformers eager"])
    assert spread < 1e-3, f"the two models differ: {losses}"
    times: dict[str, list[float]] = {name: [] for name in steps}
    began = time.perf_counter()
    for turn in range(num_rounds):
        if turn >= 3 and time.perf_counter() - began > max_seconds:
            break
        for name, step in steps.items():
            start = time.perf_counter()
            step(ids)
            times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # The quickstart's model and rows; the more rows, the larger the share of the matrix products.
    sizes = {"vocab": 2048, "hidden": 128, "ffn": 384, "layers": 4, "heads": 4, "kv-heads": 2}
    for name, size in {**sizes, "seq-len": 256, "rows": 2, "threads": 2, "rounds": 21}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument(
        "--compiled",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also under torch.compile, whose code takes about a minute to make",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="limit of the timed rounds")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = model_config(args)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(args.vocab, (args.rows, args.seq_len + 1), generator=generator)
    times = measure(build_steps(config, compiled=args.compiled), ids, args.rounds, args.seconds)

    num_tokens = args.rows * args.seq_len
    ours = statistics.median(times["llmcore"])
    print(
        f"{config.num_params():,} parameters, {args.rows} x {args.seq_len} tokens, float32, "
        f"{args.threads} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    print(f"{'':34}{'ms/step':>9}{'tokens/s':>10}{'GFLOP/s':>9}{'llmcore is':>12}")
    rows = []
    for name, samples in times.items():
        median = statistics.median(samples)
        rate = num_tokens / median
        gflops = rate * config.flops_per_token(args.seq_len) / 1e9
        print(f"{name:34}{median * 1e3:9.1f}{rate:10.0f}{gflops:9.1f}{median / ours:11.2f}x")
        rows.append(
            results.Row(
                op="model",
                phase="train",
                dtype="float32",
                shape=f"{config.num_params():,} weights, {args.rows}x{args.seq_len} tokens",
                name=name,
                threads=args.threads,
                rounds=len(samples),
                ms=1e3 * median,
                best_ms=1e3 * min(samples),
                gflop_per_s=gflops,
                speedup=statistics.median(times["transformers eager"]) / median,
            )
        )
    if args.json:
        results.write(args.json, facts(torch.device("cpu"), args.threads), rows)


if __name__ == "__main__":
    main()
