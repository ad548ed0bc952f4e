"""The three training stages of a run, with the paths of this run filled in."""

from typing import Any

from llmcore import alignment, pretraining, tuning
from llmcore.alignment import DPOConfig
from llmcore.pipeline.config import PipelineConfig
from llmcore.pipeline.layout import Layout
from llmcore.pretraining import PretrainConfig
from llmcore.training import StageResult
from llmcore.tuning import SFTConfig


def pretrain_config(config: PipelineConfig, layout: Layout) -> PretrainConfig:
    """Pre-training on the run's documents and tokenizer."""
    return PretrainConfig(
        tokenizer=str(layout.tokenizer),
        data=str(layout.documents),
        model=config.model,
        optim=config.pretrain.optim,
        train=config.pretrain.train,
        val_fraction=config.val_fraction,
        split_seed=config.data_seed,
    )


def sft_config(config: PipelineConfig, layout: Layout) -> SFTConfig:
    """Instruction tuning of the pre-trained model."""
    return SFTConfig(
        init_from=str(layout.stage("pretrain")),
        train_data=str(layout.sft_train),
        val_data=str(layout.exercises_held_out),
        train=config.sft.train,
        optim=config.sft.optim,
    )


def dpo_config(config: PipelineConfig, layout: Layout) -> DPOConfig:
    """Preference alignment of the tuned model."""
    return DPOConfig(
        init_from=str(layout.stage("sft")),
        train_data=str(layout.dpo_train),
        val_data=str(layout.preferences_held_out),
        beta=config.dpo_beta,
        train=config.dpo.train,
        optim=config.dpo.optim,
    )


def run_stage(
    name: str, config: PipelineConfig, layout: Layout, *, resume: bool, quiet: bool
) -> dict[str, Any]:
    """Train one stage, or go on with it, and return its totals."""
    out_dir = layout.stage(name)
    match name:
        case "pretrain":
            result = pretraining.run(
                pretrain_config(config, layout), out_dir=out_dir, resume=resume, quiet=quiet
            )
        case "sft":
            result = tuning.run(
                sft_config(config, layout), out_dir=out_dir, resume=resume, quiet=quiet
            )
        case _:
            result = alignment.run(
                dpo_config(config, layout), out_dir=out_dir, resume=resume, quiet=quiet
            )
    return _totals(result)


def _totals(result: StageResult) -> dict[str, Any]:
    return {
        "final_loss": result.final_loss,
        "steps": result.steps,
        "tokens": result.tokens,
        "seconds": result.seconds,
        "tokens_per_s": result.tokens / result.seconds if result.seconds else 0.0,
    }
