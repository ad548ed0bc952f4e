"""A loaded model with its tokenizer and sampling settings: text in, pieces of text out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcore import decoding, inference, models
from llmcore.data import Message, encode_chat
from llmcore.errors import DataError
from llmcore.tokenizers import END_OF_TEXT, Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """What `generate` and `chat` talk to."""

    model: models.Decoder
    tokenizer: Tokenizer
    params: decoding.SamplingParams

    @classmethod
    def load(cls, model_dir: Path, sampling: Mapping[str, Any]) -> "Speaker":
        """Load model and tokenizer from one folder in the Hugging Face layout.

        Args:
            model_dir: The folder.
            sampling: Fields of `SamplingParams` but `stop_ids`, which the folder knows.

        Raises:
            ConfigError: `sampling` has a value out of range.
            CheckpointError: the folder holds no model, or a damaged one.
            DataError: it holds no tokenizer.
        """
        model = models.load_pretrained(model_dir)
        tokenizer = Tokenizer.load(model_dir)
        params = decoding.SamplingParams(stop_ids=models.load_stop_ids(model_dir), **sampling)
        return cls(model=model, tokenizer=tokenizer, params=params)

    def complete(self, prompt: str) -> Iterator[str]:
        """Continue a document that begins with `prompt`.

        Raises:
            ShapeError: the prompt leaves no room in the model's context.
        """
        start = self.tokenizer.token_to_id(END_OF_TEXT)
        ids = [] if start is None else [start]
        return self._pieces([*ids, *self.tokenizer.encode(prompt)])

    def answer(self, turns: Sequence[tuple[str, str]]) -> Iterator[str]:
        """Answer a chat, given as (role, content) turns of which the last is the user's.

        Raises:
            DataError: the tokenizer has no chat markers, or the chat outgrew the context.
        """
        messages = [Message(role=role, content=content) for role, content in turns]
        ids = encode_chat(self.tokenizer, messages, add_generation_prompt=True).ids
        limit = self.model.config.max_seq_len
        if len(ids) >= limit:
            raise DataError(f"chat: must be shorter than {limit} tokens, got {len(ids)}")
        return self._pieces(ids)

    def _pieces(self, ids: list[int]) -> Iterator[str]:
        decoder = self.tokenizer.stream_decoder()
        for token_id in inference.stream(self.model, ids, self.params):
            yield decoder.push(token_id)
        yield decoder.finish()
