"""The quickstart's whole path: text to an evaluated chat model."""

from llmcore.pipeline.config import PipelineConfig, StageConfig
from llmcore.pipeline.layout import Layout
from llmcore.pipeline.report import render_report, write_report
from llmcore.pipeline.run import STAGES, run
from llmcore.pipeline.stages import dpo_config, pretrain_config, sft_config
from llmcore.pipeline.targets import check_targets

__all__ = [
    "STAGES",
    "Layout",
    "PipelineConfig",
    "StageConfig",
    "check_targets",
    "dpo_config",
    "pretrain_config",
    "render_report",
    "run",
    "sft_config",
    "write_report",
]
