"""Everything that defines a pre-training run."""

from dataclasses import dataclass, field

from llmcore.config import Config, require
from llmcore.models import DecoderConfig
from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig(Config):
    """A decoder trained from random weights to predict the next token of documents."""

    tokenizer: str
    """Path of tokenizer.json or of its directory; it must know <|endoftext|>."""
    data: str = ""
    """Text, JSONL or Parquet file, or a directory of these; empty = the corpus Python carries."""
    model: DecoderConfig
    """Shape of the model; its vocabulary must hold the tokenizer's."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """The update."""
    train: TrainConfig
    """Length, batch shape, seed and bookkeeping."""
    val_fraction: float = 0.02
    """Part of the documents held out before training."""
    split_seed: int = 0
    """Seed of the split, apart from the training seed so that runs share one split."""
    val_rows: int = 64
    """Rows of held-out text, at most, that `val_loss` is the mean over."""

    def validate(self) -> None:
        require(self.tokenizer != "", "PretrainConfig: tokenizer", "a path", self.tokenizer)
        require(
            0 < self.val_fraction < 1,
            "PretrainConfig: val_fraction",
            "in (0, 1)",
            self.val_fraction,
        )
        require(self.split_seed >= 0, "PretrainConfig: split_seed", ">= 0", self.split_seed)
        require(self.val_rows >= 1, "PretrainConfig: val_rows", ">= 1", self.val_rows)
        require(
            self.train.seq_len <= self.model.max_seq_len,
            "PretrainConfig: train.seq_len",
            f"at most model.max_seq_len = {self.model.max_seq_len}",
            self.train.seq_len,
        )

    def num_params(self) -> int:
        """Parameters of the model."""
        return self.model.num_params()

    def num_tokens(self) -> int:
        """Tokens that the run trains on."""
        return self.train.num_steps * self.train.rows_per_batch * self.train.seq_len

    def num_flops(self) -> int:
        """Floating-point operations of the run, forward and backward."""
        return self.num_tokens() * self.model.flops_per_token(self.train.seq_len)
