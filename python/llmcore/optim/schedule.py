"""The learning rate as a pure function of the step."""

import math


def warmup_cosine(
    step: int, *, peak_lr: float, min_ratio: float, warmup_steps: int, num_steps: int
) -> float:
    r"""Linear warm-up to the peak, then half a cosine down to `min_ratio * peak_lr`.

        step < warmup:  lr = peak * (step + 1) / warmup
        otherwise:      t  = (step - warmup) / (num_steps - warmup)
                        lr = peak * (min_ratio + (1 - min_ratio) * (1 + cos(pi * t)) / 2)

    Args:
        step: Optimiser steps already done; the first step has 0.
        peak_lr: Learning rate at the end of warm-up.
        min_ratio: Final rate as a fraction of the peak.
        warmup_steps: Steps of warm-up.
        num_steps: Steps of the run; from there on the rate stays at its minimum.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle without restarts.
    """
    if step < warmup_steps:
        return peak_lr * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, num_steps - warmup_steps))
    return peak_lr * (min_ratio + (1.0 - min_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress)))
