"""`llmcore rerun`: a recorded run once more."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmcore.cli import options

if TYPE_CHECKING:
    from llmcore.config import Config


@click.command()
@click.argument("record", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of the new run.  [default: the recorded run's, to finish it]",
)
@options.SET
@options.RESUME
@options.QUIET
def rerun(
    record: Path,
    *,
    out: Path | None,
    overrides: tuple[str, ...],
    resume: bool,
    quiet: bool,
) -> None:
    """Run the configuration that RUN, a run.toml or its folder, has recorded.

    With --out the run is reproduced from its first step; without, an interrupted run goes on where
    it stopped. Versions that differ from the recorded ones are named on stderr.

    \b
    Examples:
      llmcore rerun runs/pretrain-tiny
      llmcore rerun runs/pretrain-tiny/run.toml --out runs/again --set train.seed=2
    """
    from llmcore import config, training

    recorded = training.read_run_record(record)
    config_class, run = stage_runner(recorded.stage)
    resolved = config.from_table(config_class, recorded.config_table)
    for name, version in training.versions().items():
        then = recorded.versions.get(name, version)
        if then != version and not quiet:
            click.echo(f"llmcore: recorded with {name} {then}, running {version}", err=True)
    folder = record if record.is_dir() else record.parent
    run(
        config.apply_overrides(resolved, overrides),
        out_dir=out or folder,
        resume=resume,
        quiet=quiet,
    )


def stage_runner(stage: str) -> "tuple[type[Config], Callable[..., Any]]":
    """The config class and the run function of a recorded stage.

    Args:
        stage: What run.toml names.

    Raises:
        ConfigError: no stage has that name.
    """
    match stage:
        case "pretrain":
            from llmcore import pretraining

            return pretraining.PretrainConfig, pretraining.run
        case "sft":
            from llmcore import tuning

            return tuning.SFTConfig, tuning.run
        case "dpo":
            from llmcore import alignment

            return alignment.DPOConfig, alignment.run
        case "quickstart":
            from llmcore import pipeline

            return pipeline.PipelineConfig, pipeline.run
        case _:
            from llmcore.errors import ConfigError

            raise ConfigError(f"run.toml: stage must be a known stage, got {stage!r}")
