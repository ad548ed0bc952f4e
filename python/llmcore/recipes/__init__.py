"""Functions that return complete configs, and the names that the command line gives them."""

from llmcore.recipes.catalog import DPO, PRETRAIN, SFT, resolve
from llmcore.recipes.quickstart import quickstart

__all__ = ["DPO", "PRETRAIN", "SFT", "quickstart", "resolve"]
