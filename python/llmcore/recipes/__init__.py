"""Functions that return complete configs, and the names that the command line gives them."""

from llmcore.recipes.catalog import DPO, PRETRAIN, SFT, resolve

__all__ = ["DPO", "PRETRAIN", "SFT", "resolve"]
