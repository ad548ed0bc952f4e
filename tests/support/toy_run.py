"""A run without a language model: random numbers of all kinds feed the loss, so none may be lost.

Python's own generator is left out: beartype draws from it when it checks lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmcore.config import Config
from llmcore.optim import AdamW, OptimConfig
from llmcore.training import TrainConfig, TrainState, apply_update

LEARNING = OptimConfig(peak_lr=0.05, warmup_steps=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig(Config):
    """The configuration of a toy stage."""

    data: str = ""
    optim: OptimConfig = LEARNING
    train: TrainConfig = field(default_factory=lambda: TrainConfig(num_steps=12))


@dataclass(frozen=True)
class ToyBatch:
    """Four rows of three numbers."""

    inputs: Tensor

    @property
    def num_tokens(self) -> int:
        """Rows."""
        return self.inputs.shape[0]


class ToyStream:
    """Batches that depend on all earlier ones, through a counter and a tensor."""

    def __init__(self) -> None:
        self.count = 0
        self.memory = torch.zeros(4, 3)

    def __next__(self) -> list[ToyBatch]:
        self.count += 1
        self.memory = (self.memory + self.count).sin()
        return [ToyBatch(self.memory.clone())]

    def state_dict(self) -> dict[str, Any]:
        """Counter and tensor."""
        return {"count": self.count, "memory": self.memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back there."""
        self.count = state["count"]
        self.memory = state["memory"].clone()


def toy_state(seed: int = 0) -> TrainState:
    """A linear model with its optimiser; seeds every global generator too."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)
    return TrainState(
        model=model,
        optimizer=AdamW(model.named_parameters(), LEARNING),
        generator=torch.Generator().manual_seed(seed),
    )


def toy_step(state: TrainState, micro_batches: Sequence[ToyBatch]) -> dict[str, float]:
    """A step whose loss draws from NumPy's, Torch's and the run's own generator."""
    noise = float(np.random.rand()) + torch.rand(()).item()
    noise += torch.rand((), generator=state.generator).item()
    loss = sum((state.model(batch.inputs) - noise).square().mean() for batch in micro_batches)
    loss.backward()
    return {"loss": loss.item(), **apply_update(state, LEARNING, num_steps=12)}
