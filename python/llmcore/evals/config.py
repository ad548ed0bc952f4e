"""What `llmcore eval` measures a model on."""

from dataclasses import dataclass

from llmcore.config import Config, require


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalConfig(Config):
    """A model and held-out data; what is not given is not measured.

    With none of the data fields set, the files that the quickstart keeps beside its models,
    `MODEL/../data/*held_out.jsonl`, are taken.
    """

    model: str
    """Model directory with its tokenizer."""
    documents: str = ""
    """Text, JSONL or Parquet for bits per byte."""
    exercises: str = ""
    """JSONL of `{"messages": [...]}` rows, one turn each, for exact match; `skill` is the group."""
    preferences: str = ""
    """JSONL of preference rows for preference accuracy."""
    reference: str = ""
    """Model directory that the KL of the answers to the preferences' prompts is measured to."""
    seq_len: int = 256
    """Context of bits per byte, in tokens."""
    batch_size: int = 64
    """Rows per forward pass."""
    max_new_tokens: int = 48
    """Answers are cut here."""
    seed: int = 0
    """Of the answers sampled for the KL."""

    def validate(self) -> None:
        require(self.model != "", "EvalConfig: model", "a model directory", self.model)
        for name in ("batch_size", "max_new_tokens"):
            value = getattr(self, name)
            require(value >= 1, f"EvalConfig: {name}", ">= 1", value)
        require(self.seq_len >= 2, "EvalConfig: seq_len", ">= 2", self.seq_len)
        require(self.seed >= 0, "EvalConfig: seed", ">= 0", self.seed)
