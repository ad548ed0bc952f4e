"""The recipes of this stage start from what the recipe of the stage before leaves, and fit it."""

import pytest

from llmcore.recipes import dpo, pretrain

PAIRS = [(dpo.tiny, pretrain.tiny), (dpo.small, pretrain.small)]


@pytest.mark.parametrize(("recipe", "start"), PAIRS)
def test_rows_fit_the_model_that_the_recipe_starts_from(recipe, start):
    assert recipe().train.seq_len <= start().model.max_seq_len


def test_small_starts_where_the_command_leaves_the_stage_before():
    assert dpo.small().init_from == "runs/sft-small"


@pytest.mark.parametrize("recipe", [dpo.tiny, dpo.small])
def test_the_learning_rate_is_below_pretrainings_and_warms_up_within_the_run(recipe):
    built = recipe()
    assert built.optim.peak_lr < pretrain.tiny().optim.peak_lr
    assert built.optim.warmup_steps < built.train.num_steps
