"""Stop a stage in the middle, as Ctrl-C would."""

import contextlib
import signal
from collections.abc import Iterator
from unittest import mock

from llmcore.optim import AdamW


@contextlib.contextmanager
def interrupt_after(num_steps: int) -> Iterator[None]:
    """Within the block, SIGINT arrives during the optimiser's step number `num_steps`."""
    step = AdamW.step
    done = 0

    def counted(self: AdamW, *, lr: float, grad_scale: float = 1.0) -> None:
        nonlocal done
        step(self, lr=lr, grad_scale=grad_scale)
        done += 1
        if done == num_steps:
            signal.raise_signal(signal.SIGINT)

    with mock.patch.object(AdamW, "step", counted):
        yield
