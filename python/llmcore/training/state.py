"""Everything that one optimiser step changes, except the position in the data."""

from dataclasses import dataclass

import torch
from torch import nn

from llmcore.optim import AdamW


@dataclass(kw_only=True)
class TrainState:
    """The mutable state of a run: a step function changes the first three, `fit` the counts."""

    model: nn.Module
    """The model in training."""
    optimizer: AdamW
    """Over the model's parameters."""
    generator: torch.Generator
    """The run's own random numbers; step functions that draw must draw from it."""
    step: int = 0
    """Optimiser steps done."""
    tokens_seen: int = 0
    """Tokens of all batches so far, padding left out."""
    train_seconds: float = 0.0
    """Seconds spent in steps, over all resumptions."""
