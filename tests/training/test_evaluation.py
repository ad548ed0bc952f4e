"""Evaluations are added to the row when due."""

import pytest

from llmcore.training import EvaluationHook
from tests.support.toy_run import toy_state


@pytest.mark.parametrize(("every", "wanted"), [(0, [5]), (2, [2, 4, 5]), (5, [5])])
def test_every_few_steps_and_the_last(every: int, wanted: list[int]):
    hook = EvaluationHook(lambda state: {"val_loss": state.step / 2}, every=every, num_steps=5)
    state = toy_state()
    found = []
    hook.on_start(state)
    for step in range(1, 6):
        state.step = step
        row: dict[str, int | float] = {"step": step}
        hook.on_step(state, row)
        if "val_loss" in row:
            assert row["val_loss"] == step / 2
            found.append(step)
    hook.on_stop(state, "finished")
    assert found == wanted
