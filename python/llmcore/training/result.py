"""What a stage hands back."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """Outcome of a finished stage."""

    model_dir: Path
    """Directory that `load_pretrained` takes."""
    metrics_path: Path
    """One JSON row per logged step."""
    final_loss: float
    """Training loss of the last step."""
    steps: int
    """Optimiser steps of the whole run."""
    tokens: int
    """Tokens seen, padding left out."""
    seconds: float
    """Time spent in steps, over all resumptions."""
