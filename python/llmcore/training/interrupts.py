"""Ctrl-C and SIGTERM as a request to stop after the step that is running."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass
class PendingInterrupt:
    """Whether a stop was asked for."""

    signal_name: str = ""
    """`SIGINT` or `SIGTERM` once asked, else empty."""

    def __bool__(self) -> bool:
        return bool(self.signal_name)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[PendingInterrupt]:
    """Within the block SIGINT and SIGTERM only set the yielded flag; a second one stops at once.

    Outside the main thread Python allows no handlers, and the flag is never set.

    Raises:
        KeyboardInterrupt: a second signal came.
    """
    pending = PendingInterrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if pending:
            raise KeyboardInterrupt
        pending.signal_name = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():
        yield pending
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield pending
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
