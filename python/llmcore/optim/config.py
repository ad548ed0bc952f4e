"""Hyper-parameters of the optimiser and its schedule."""

from dataclasses import dataclass

from llmcore.config import Config, require


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig(Config):
    """AdamW with warm-up, cosine decay and gradient clipping."""

    peak_lr: float = 1e-3
    """Learning rate at the end of warm-up."""
    min_lr_ratio: float = 0.1
    """Final learning rate as a fraction of `peak_lr`."""
    warmup_steps: int = 100
    """Optimiser steps of linear warm-up; at most the steps of the run."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled decay per step, times the learning rate; weights with two or more axes only."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this Euclidean norm over all parameters."""

    def validate(self) -> None:
        require(self.peak_lr > 0, "OptimConfig: peak_lr", "above 0", self.peak_lr)
        require(
            0 <= self.min_lr_ratio <= 1, "OptimConfig: min_lr_ratio", "in [0, 1]", self.min_lr_ratio
        )
        require(self.warmup_steps >= 0, "OptimConfig: warmup_steps", ">= 0", self.warmup_steps)
        require(
            all(0 <= beta < 1 for beta in self.betas), "OptimConfig: betas", "in [0, 1)", self.betas
        )
        require(self.eps > 0, "OptimConfig: eps", "above 0", self.eps)
        require(self.weight_decay >= 0, "OptimConfig: weight_decay", ">= 0", self.weight_decay)
        require(self.max_grad_norm > 0, "OptimConfig: max_grad_norm", "above 0", self.max_grad_norm)
