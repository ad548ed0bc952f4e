"""A fresh state stands before the first step."""

from tests.support.toy_run import toy_state


def test_a_fresh_state_has_done_nothing():
    state = toy_state()
    assert (state.step, state.tokens_seen, state.train_seconds) == (0, 0, 0.0)
