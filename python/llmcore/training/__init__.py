"""The loop that every stage is a step function of, its state, hooks and files."""

from llmcore.training.checkpointing import CheckpointHook, resume
from llmcore.training.config import TrainConfig
from llmcore.training.evaluation import EvaluationHook
from llmcore.training.fit import BatchStream, MicroBatch, StepFn, fit
from llmcore.training.hooks import Hook, MetricsRow, StopStatus
from llmcore.training.metrics_log import MetricsLog, read_metrics
from llmcore.training.model_fit import require_model_fits
from llmcore.training.progress import progress_hook
from llmcore.training.result import StageResult
from llmcore.training.run_record import RunRecord, read_run_record, versions, write_run_record
from llmcore.training.snapshot import Snapshot, restore_snapshot, take_snapshot
from llmcore.training.stage import StageRun, train_stage
from llmcore.training.state import TrainState
from llmcore.training.tensorboard import TensorBoardHook
from llmcore.training.update import apply_update, require_finite

__all__ = [
    "BatchStream",
    "CheckpointHook",
    "EvaluationHook",
    "Hook",
    "MetricsLog",
    "MetricsRow",
    "MicroBatch",
    "RunRecord",
    "Snapshot",
    "StageResult",
    "StageRun",
    "StepFn",
    "StopStatus",
    "TensorBoardHook",
    "TrainConfig",
    "TrainState",
    "apply_update",
    "fit",
    "progress_hook",
    "read_metrics",
    "read_run_record",
    "require_finite",
    "require_model_fits",
    "restore_snapshot",
    "resume",
    "take_snapshot",
    "train_stage",
    "versions",
    "write_run_record",
]
