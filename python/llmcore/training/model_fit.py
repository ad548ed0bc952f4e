"""Whether a stage's data fit the model that it starts from."""

from llmcore.errors import ConfigError
from llmcore.models import DecoderConfig


def require_model_fits(
    owner: str, model: DecoderConfig, *, seq_len: int, num_token_ids: int
) -> None:
    """Refuse rows longer than the model's positions and ids beyond its vocabulary.

    Args:
        owner: Name of the stage's configuration, for the message.
        model: Shape of the model.
        seq_len: Tokens per row.
        num_token_ids: The tokenizer's `vocab_size`.

    Raises:
        ConfigError: one of the two does not fit.
    """
    if seq_len > model.max_seq_len:
        raise ConfigError(
            f"{owner}: train.seq_len must be at most the model's max_seq_len = "
            f"{model.max_seq_len}, got {seq_len}"
        )
    if num_token_ids > model.vocab_size:
        raise ConfigError(
            f"{owner}: tokenizer must have at most the model's vocab_size = "
            f"{model.vocab_size} tokens, got {num_token_ids}"
        )
