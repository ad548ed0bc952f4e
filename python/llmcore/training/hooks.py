"""What may watch a run: the protocol that `fit` calls."""

from typing import Literal, Protocol, runtime_checkable

from llmcore.training.state import TrainState

MetricsRow = dict[str, int | float]
"""step, loss, lr, grad_norm, tokens_per_s, tokens_seen, time_s, rss_mb, and what a stage adds."""

StopStatus = Literal["finished", "interrupted", "failed"]
"""How a run ended: all steps done, Ctrl-C or SIGTERM, or an error."""


@runtime_checkable
class Hook(Protocol):
    """Called by `fit` around the steps, in the order of the list; `on_stop` in reverse order."""

    def on_start(self, state: TrainState) -> None:
        """Before the first step of this process; `state.step` > 0 after a resume."""

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """After each optimiser step. `row` is the metrics row; a hook may add keys to it."""

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Once at the end, also after an error."""
