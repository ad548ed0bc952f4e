"""Recipes by the name that the command line takes."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from llmcore.alignment import DPOConfig
from llmcore.config import Config, apply_overrides
from llmcore.errors import ConfigError
from llmcore.pretraining import PretrainConfig
from llmcore.recipes import dpo, pretrain, sft
from llmcore.tuning import SFTConfig

ConfigT = TypeVar("ConfigT", bound=Config)
Catalog = Mapping[str, Callable[[], ConfigT]]

PRETRAIN: Final[Catalog[PretrainConfig]] = {"tiny": pretrain.tiny, "small": pretrain.small}
SFT: Final[Catalog[SFTConfig]] = {"tiny": sft.tiny, "small": sft.small}
DPO: Final[Catalog[DPOConfig]] = {"tiny": dpo.tiny, "small": dpo.small}


def resolve(catalog: Catalog[ConfigT], name: str, assignments: Iterable[str] = ()) -> ConfigT:
    """The config of a recipe, with `KEY=VALUE` assignments made.

    Args:
        catalog: One of PRETRAIN, SFT, DPO.
        name: A key of it.
        assignments: As in `config.apply_overrides`.

    Raises:
        ConfigError: unknown name or key (with a suggestion), or a value that does not fit.
    """
    if name not in catalog:
        near = difflib.get_close_matches(name, catalog, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"recipe must be one of {', '.join(catalog)}, got {name!r}{hint}")
    return apply_overrides(catalog[name](), assignments)
