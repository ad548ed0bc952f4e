"""The first Ctrl-C asks, the second one stops."""

import os
import signal
import threading

import pytest

from llmcore.training.interrupts import deferred_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_sets_the_flag(number: signal.Signals):
    before = signal.getsignal(number)
    with deferred_interrupts() as pending:
        assert not pending
        os.kill(os.getpid(), number)
        assert pending
        assert pending.signal_name == number.name
    assert signal.getsignal(number) is before


def test_the_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_the_main_thread_it_is_a_plain_block():
    seen = []

    def work() -> None:
        with deferred_interrupts() as pending:
            seen.append(bool(pending))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
