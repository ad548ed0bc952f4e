"""From accumulated gradients to new weights: the half of a step that all stages share."""

import math

from llmcore.errors import TrainingError
from llmcore.optim import OptimConfig, clip_scale, grad_norm, warmup_cosine
from llmcore.training.state import TrainState


def apply_update(state: TrainState, optim: OptimConfig, *, num_steps: int) -> dict[str, float]:
    """Clip the gradients, take one AdamW step at the scheduled rate and drop the gradients.

    Args:
        state: Its model holds the gradients of the whole optimiser step.
        optim: Hyper-parameters.
        num_steps: Steps of the run, for the schedule.

    Raises:
        TrainingError: the gradient norm is not finite; the weights are untouched.
    """
    lr = warmup_cosine(
        state.step,
        peak_lr=optim.peak_lr,
        min_ratio=optim.min_lr_ratio,
        warmup_steps=optim.warmup_steps,
        num_steps=num_steps,
    )
    norm = grad_norm(state.model.parameters())
    require_finite("gradient norm", norm, state)
    # The step scales the gradients as it reads them: clipping takes no pass of its own.
    state.optimizer.step(lr=lr, grad_scale=clip_scale(norm, optim.max_grad_norm))
    state.optimizer.zero_grad()
    return {"lr": lr, "grad_norm": norm}


def require_finite(name: str, value: float, state: TrainState) -> None:
    """Stop a run whose numbers are broken, before they reach the weights.

    Args:
        name: What the number is, for the message.
        value: The number.
        state: Tells the step.

    Raises:
        TrainingError: `value` is infinite or NaN.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"step {state.step + 1}: {name} must be finite, got {value}; the weights are those of "
            f"step {state.step} and earlier checkpoints are kept"
        )
