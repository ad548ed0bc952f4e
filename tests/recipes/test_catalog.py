"""Names find recipes; every recipe is complete, pure, recordable, and runs."""

import dataclasses
from pathlib import Path

import pytest

from llmcore import alignment, config, pretraining, recipes, tuning
from llmcore.errors import ConfigError
from tests.support import toy

STAGES = {
    "pretrain": (recipes.PRETRAIN, pretraining.run),
    "sft": (recipes.SFT, tuning.run),
    "dpo": (recipes.DPO, alignment.run),
}
RECIPES = [(stage, name) for stage, (catalog, _) in STAGES.items() for name in catalog]


def toy_assignments(stage: str, folder: Path, *, tokenizer: Path, model: Path) -> list[str]:
    """The overrides that shrink a recipe of `stage` to toy size on toy data in `folder`."""
    if stage == "pretrain":
        documents = toy.write_documents(folder / "documents")
        inputs = [*toy.MODEL_ASSIGNMENTS, f"tokenizer={tokenizer}", f"data={documents}"]
    else:
        write = toy.write_chats if stage == "sft" else toy.write_preferences
        inputs = [f"init_from={model}", f"train_data={write(folder / 'rows.jsonl')}"]
    return [*toy.TRAIN_ASSIGNMENTS, *inputs]


@pytest.mark.parametrize(("stage", "name"), RECIPES)
def test_the_same_call_returns_an_equal_config(stage, name):
    recipe = STAGES[stage][0][name]
    assert recipe() == recipe()
    assert recipe.__doc__


@pytest.mark.parametrize(("stage", "name"), RECIPES)
def test_toml_gives_the_recipe_back(stage, name):
    built = STAGES[stage][0][name]()
    assert config.from_toml(type(built), config.to_toml(built)) == built


@pytest.mark.parametrize(("stage", "name"), RECIPES)
def test_every_recipe_runs_two_steps_at_toy_size(stage, name, tmp_path, tokenizer_dir, model_dir):
    catalog, run = STAGES[stage]
    assignments = toy_assignments(stage, tmp_path, tokenizer=tokenizer_dir, model=model_dir)
    toy_config = recipes.resolve(catalog, name, assignments)
    result = run(toy_config, out_dir=tmp_path / "out", quiet=True)
    assert result.steps == 2
    assert 0 < result.final_loss < 20
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(("stage", "name"), RECIPES)
def test_overrides_change_only_what_they_name(stage, name):
    catalog = STAGES[stage][0]
    plain = catalog[name]()
    changed = recipes.resolve(catalog, name, ["train.seed=7"])
    assert changed == dataclasses.replace(plain, train=dataclasses.replace(plain.train, seed=7))


def test_an_unknown_name_lists_the_known_ones_and_suggests():
    with pytest.raises(ConfigError, match="one of tiny, small, got 'tinny'; did you mean 'tiny'"):
        recipes.resolve(recipes.PRETRAIN, "tinny")


def test_an_unknown_key_suggests():
    with pytest.raises(ConfigError, match="peak_lr"):
        recipes.resolve(recipes.PRETRAIN, "tiny", ["optim.peek_lr=1"])
