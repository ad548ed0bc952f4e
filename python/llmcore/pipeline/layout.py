"""Where everything of a run lies."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths under the run's directory."""

    root: Path

    @property
    def tokenizer(self) -> Path:
        """Directory of tokenizer.json."""
        return self.root / "tokenizer"

    @property
    def documents(self) -> Path:
        """All documents, before the split."""
        return self.root / "data" / "documents.jsonl"

    @property
    def documents_held_out(self) -> Path:
        """The documents that nothing was trained on."""
        return self.root / "data" / "documents_held_out.jsonl"

    @property
    def sft_train(self) -> Path:
        """Instruction rows."""
        return self.root / "data" / "sft_train.jsonl"

    @property
    def exercises_held_out(self) -> Path:
        """Instruction rows that name their skill."""
        return self.root / "data" / "exercises_held_out.jsonl"

    @property
    def exercises_unseen_words(self) -> Path:
        """As `exercises_held_out`, from words that occur in no training exercise."""
        return self.root / "data" / "exercises_unseen_words.jsonl"

    @property
    def dpo_train(self) -> Path:
        """Preference rows."""
        return self.root / "data" / "dpo_train.jsonl"

    @property
    def preferences_held_out(self) -> Path:
        """Preference rows with names and wordings of their own."""
        return self.root / "data" / "preferences_held_out.jsonl"

    @property
    def metrics(self) -> Path:
        """Every number of the run."""
        return self.root / "metrics.json"

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.root / "report.html"

    @property
    def picture(self) -> Path:
        """The report's main panel."""
        return self.root / "report.png"

    def stage(self, name: str) -> Path:
        """Model directory of `pretrain`, `sft` or `dpo`."""
        return self.root / name

    def result(self, step: str) -> Path:
        """What a finished step measured."""
        return self.root / "eval" / f"{step}.json"
