"""A stage's run from its output directory: record, resume, hooks, loop, result."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmcore.checkpoint import CheckpointManager
from llmcore.config import Config
from llmcore.errors import ConfigError
from llmcore.training.checkpointing import CheckpointHook, resume
from llmcore.training.config import TrainConfig
from llmcore.training.evaluation import Evaluate, EvaluationHook
from llmcore.training.fit import BatchStream, BatchT, StepFn, fit
from llmcore.training.hooks import Hook
from llmcore.training.metrics_log import MetricsLog, read_metrics
from llmcore.training.progress import progress_hook
from llmcore.training.result import StageResult
from llmcore.training.run_record import RUN_FILE, write_run_record
from llmcore.training.state import TrainState
from llmcore.training.tensorboard import TensorBoardHook


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """Where and how a stage runs."""

    stage: str
    """Name in run.toml and on the progress bar."""
    config: Config
    """The stage's whole configuration; a resume needs an equal one."""
    train: TrainConfig
    """Its training part."""
    out_dir: Path
    """Gets run.toml, metrics.jsonl, tb/ and checkpoints/."""
    resume: bool = True
    """Go on from the newest checkpoint; False deletes the checkpoints and starts afresh."""
    quiet: bool = False
    """Show no progress."""


def train_stage(
    run: StageRun,
    state: TrainState,
    step_fn: StepFn[BatchT],
    batches: BatchStream[BatchT],
    *,
    evaluate: Evaluate | None = None,
    hooks: Sequence[Hook] = (),
) -> StageResult:
    """Train a stage to its last step, resuming where a former process stopped.

    Args:
        run: Where and how.
        state: Fresh; moved to the newest checkpoint.
        step_fn: The stage's optimiser step.
        batches: Fresh; moved along.
        evaluate: Metrics on held-out data, every `eval_every` steps and after the last.
        hooks: Called before the built-in ones, so they may add metrics to the rows.

    Raises:
        ConfigError: the checkpoint belongs to another configuration.
        CheckpointError: damaged checkpoints, or a file cannot be written.
        TrainingError: a loss or gradient norm is not finite.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was saved.
    """
    try:
        run.out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create {run.out_dir}: {error.strerror}") from error
    manager = CheckpointManager(run.out_dir / "checkpoints", keep_last=run.train.keep_last)
    if not run.resume:
        manager.clear()
    resume(manager, state, batches, config=run.config)
    write_run_record(run.out_dir, run.stage, run.config)
    own_hooks = _hooks(run, manager, batches, evaluate)
    if state.step < run.train.num_steps:
        fit(
            state,
            step_fn,
            batches,
            [*hooks, *own_hooks],
            num_steps=run.train.num_steps,
            resume_hint=f"checkpoint saved; resume with: llmcore rerun {run.out_dir / RUN_FILE}",
        )
    return _result(run, state)


def _hooks(
    run: StageRun,
    manager: CheckpointManager,
    batches: BatchStream[BatchT],
    evaluate: Evaluate | None,
) -> list[Hook]:
    train = run.train
    hooks: list[Hook] = []
    if evaluate is not None:
        hooks.append(EvaluationHook(evaluate, every=train.eval_every, num_steps=train.num_steps))
    if not run.quiet:
        hooks.append(progress_hook(run.stage, num_steps=train.num_steps))
    hooks.append(MetricsLog(_metrics_path(run), every=train.log_every, num_steps=train.num_steps))
    hooks.append(TensorBoardHook(run.out_dir / "tb", every=train.log_every))
    hooks.append(CheckpointHook(manager, batches, config=run.config, every=train.checkpoint_every))
    return hooks


def _result(run: StageRun, state: TrainState) -> StageResult:
    rows = read_metrics(_metrics_path(run))
    return StageResult(
        model_dir=run.out_dir,
        metrics_path=_metrics_path(run),
        final_loss=rows[-1]["loss"] if rows else float("nan"),
        steps=state.step,
        tokens=state.tokens_seen,
        seconds=state.train_seconds,
    )


def _metrics_path(run: StageRun) -> Path:
    return run.out_dir / "metrics.jsonl"
