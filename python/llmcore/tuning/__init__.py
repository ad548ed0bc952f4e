"""Instruction tuning: supervised learning on chats."""

from llmcore.tuning.config import SFTConfig
from llmcore.tuning.examples import load_examples
from llmcore.tuning.run import run
from llmcore.tuning.step import make_sft_step, sft_loss

__all__ = ["SFTConfig", "load_examples", "make_sft_step", "run", "sft_loss"]
