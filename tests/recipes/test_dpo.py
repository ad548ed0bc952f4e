"""The recipes of this stage start from what the stage before leaves."""

import pytest

from llmcore.recipes import dpo


@pytest.mark.parametrize("recipe", [dpo.tiny, dpo.small])
def test_rows_fit_the_model_that_the_recipe_starts_from(recipe):
    built = recipe()
    assert built.init_from and built.train_data
    assert built.optim.warmup_steps < built.train.num_steps
    assert built.train.rows_per_batch % built.train.micro_batches == 0
