"""Exception classes. Every message names the argument, what was expected and what came."""


class LLMCoreError(Exception):
    """Root of the errors that a user can cause; the CLI prints one line and exits with 2."""


class ShapeError(LLMCoreError, ValueError):
    """A tensor has the wrong rank or axis length."""


class DtypeError(LLMCoreError, ValueError):
    """A tensor has a dtype that the operation does not take."""


class ConfigError(LLMCoreError, ValueError):
    """A configuration field, a `--set` assignment or an argument is unknown or out of range."""


class DataError(LLMCoreError, ValueError):
    """Input data (text, JSONL, Parquet, tokenizer file) is missing, empty or malformed."""


class CheckpointError(LLMCoreError, ValueError):
    """A checkpoint or model directory is truncated, corrupted or contradicts itself."""


class KernelUnavailable(LLMCoreError, RuntimeError):
    """The chosen backend has no kernel for this op and device; the message names others."""


class TrainingError(LLMCoreError, RuntimeError):
    """Training cannot go on: the loss or the gradient norm is not a finite number."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM after a clean stop; the message says what was saved and how to resume."""
