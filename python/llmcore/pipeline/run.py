"""The whole path in order; what is already there is not done again."""

import json
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from llmcore.checkpoint import atomic_write
from llmcore.config import to_table
from llmcore.errors import ConfigError
from llmcore.pipeline import measure, prepare
from llmcore.pipeline.config import PipelineConfig
from llmcore.pipeline.layout import Layout
from llmcore.pipeline.report import write_report
from llmcore.pipeline.stages import run_stage
from llmcore.pipeline.summary import print_step, print_summary
from llmcore.pipeline.targets import check_targets
from llmcore.training import read_run_record, write_run_record
from llmcore.training.run_record import versions

STAGES: Final = ("pretrain", "sft", "dpo")
STAGE_NAME: Final = "quickstart"


def run(
    config: PipelineConfig, *, out_dir: str | Path, resume: bool = True, quiet: bool = False
) -> dict[str, Any]:
    """Go from text to an evaluated chat model.

    Writes tokenizer/, data/, pretrain/, sft/, dpo/ (each a model directory), eval/, run.toml,
    metrics.json and report.html into `out_dir`. A step whose result is already in eval/ is not
    repeated; an interrupted training stage goes on from its last checkpoint.

    Args:
        config: The whole run.
        out_dir: Created if needed.
        resume: False does everything anew.
        quiet: Print nothing.

    Returns:
        What metrics.json holds.

    Raises:
        ConfigError: `out_dir` holds a run with another config.
        DataError: missing, malformed or too little text.
        CheckpointError: a damaged model or checkpoint, or a full disk.
        Interrupted: Ctrl-C or SIGTERM; call again to go on.
    """
    layout = Layout(Path(out_dir))
    if resume:
        _check_same_config(config, layout)
    step = _Step(layout, resume=resume, quiet=quiet)
    documents = step(
        "documents", layout.documents, partial(prepare.gather_documents, config, layout)
    )
    write_run_record(layout.root, STAGE_NAME, config)
    tokenizer = step(
        "tokenizer", layout.tokenizer, partial(prepare.train_tokenizer, config, layout)
    )
    chats = step("exercises", layout.dpo_train, partial(prepare.generate_chats, config, layout))
    metrics: dict[str, Any] = {
        "data": documents | tokenizer | chats,
        "machine": _machine(),
        "config": to_table(config),
        "num_params": config.model.num_params(),
        "stages": {},
        "chat": {},
    }
    for stage in STAGES:
        model = layout.stage(stage)
        metrics["stages"][stage] = step(
            stage, model, partial(run_stage, stage, config, layout, resume=resume, quiet=quiet)
        )
        if stage == "pretrain":
            metrics["language"] = step(
                "language", model, partial(measure.measure_language, config, layout)
            )
        metrics["chat"][stage] = step(
            f"chat_{stage}", model, partial(measure.measure_chat, config, layout, stage)
        )
    metrics["step_seconds"] = step.seconds
    metrics["total_seconds"] = sum(step.seconds.values())
    metrics["targets"] = check_targets(metrics)
    atomic_write(layout.metrics, json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    write_report(metrics, layout)
    if not quiet:
        print_summary(metrics, layout)
    return metrics


class _Step:
    """Runs a named step once: its result is kept in eval/ and holds while its output exists."""

    def __init__(self, layout: Layout, *, resume: bool, quiet: bool) -> None:
        self._layout = layout
        self._resume = resume
        self._quiet = quiet
        self.seconds: dict[str, float] = {}

    def __call__(
        self, name: str, output: Path, compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        path = self._layout.result(name)
        kept = _read(path) if self._resume and output.exists() else None
        if kept is None:
            if not self._quiet:
                print_step(name)
            started = time.perf_counter()
            result = compute()
            kept = {"seconds": time.perf_counter() - started, "result": result}
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, json.dumps(kept, ensure_ascii=False) + "\n")
        self.seconds[name] = kept["seconds"]
        found: dict[str, Any] = kept["result"]
        return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return kept


def _check_same_config(config: PipelineConfig, layout: Layout) -> None:
    if not (layout.root / "run.toml").is_file():
        return
    record = read_run_record(layout.root)
    old, new = _leaves(record.config_table), _leaves(to_table(config))
    changed = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    if record.stage != STAGE_NAME or changed:
        field = changed[0] if changed else "stage"
        raise ConfigError(
            f"quickstart: {field} must be {old.get(field)!r} as in {layout.root}/run.toml, got "
            f"{new.get(field)!r}; choose another directory or start afresh"
        )


def _leaves(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = list(value) if isinstance(value, tuple) else value
    return leaves


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        **versions(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
