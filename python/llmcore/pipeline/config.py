"""Everything that defines a quickstart run."""

from dataclasses import dataclass

from llmcore.config import Config, require
from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig(Config):
    """Length and update of one training stage."""

    train: TrainConfig
    """Steps, batch shape, seed and bookkeeping."""
    optim: OptimConfig
    """The update."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineConfig(Config):
    """Text to chat model: tokenizer, pre-training, instruction tuning, preferences, evaluation."""

    data: str = ""
    """Text, JSONL or Parquet, a file or a folder; empty = the corpus that Python carries."""
    max_data_bytes: int
    """The documents are read in order up to this many bytes of UTF-8."""
    val_fraction: float = 0.04
    """Part of the documents held out before anything is trained."""
    vocab_size: int
    """Tokens of the byte-level BPE, the three special ones included."""
    model: DecoderConfig
    """Shape of the model; its vocabulary is `vocab_size`."""
    pretrain: StageConfig
    """Next-token prediction on the documents."""
    sft: StageConfig
    """Instruction tuning on generated exercises; its rows pack several chats."""
    dpo: StageConfig
    """Preference alignment; a row is one pair."""
    dpo_beta: float = 0.1
    """Strength of DPO's tie to the tuned model."""
    num_exercises: int
    """Distinct training exercises, over all skills."""
    num_style_chats: int
    """Training chats that may be answered warmly or flatly; half of each."""
    num_pairs: int
    """Preference pairs to train on: a warm and a flat answer each."""
    num_eval_exercises: int = 40
    """Held-out exercises per skill."""
    num_eval_pairs: int = 320
    """Held-out preference pairs."""
    data_seed: int = 0
    """Seed of the split and of all generated data."""

    def validate(self) -> None:
        require(self.vocab_size >= 259, "PipelineConfig: vocab_size", ">= 259", self.vocab_size)
        require(
            self.model.vocab_size == self.vocab_size,
            "PipelineConfig: model.vocab_size",
            f"vocab_size = {self.vocab_size}",
            self.model.vocab_size,
        )
        require(
            0 < self.val_fraction < 1,
            "PipelineConfig: val_fraction",
            "in (0, 1)",
            self.val_fraction,
        )
        counts = ("max_data_bytes", "num_exercises", "num_style_chats", "num_pairs")
        for name in (*counts, "num_eval_exercises", "num_eval_pairs"):
            value = getattr(self, name)
            require(value >= 1, f"PipelineConfig: {name}", ">= 1", value)
        require(self.dpo_beta > 0, "PipelineConfig: dpo_beta", "above 0", self.dpo_beta)
        require(self.data_seed >= 0, "PipelineConfig: data_seed", ">= 0", self.data_seed)
