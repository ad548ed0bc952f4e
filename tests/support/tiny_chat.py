"""A tokenizer, a decoder and data files small enough to train in a test."""

from pathlib import Path

import torch

from llmcore.data import (
    Message,
    PreferencePair,
    write_conversations,
    write_preferences,
)
from llmcore.models import Decoder, DecoderConfig
from llmcore.tokenizers import Tokenizer

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tiny_tokenizer() -> Tokenizer:
    """A byte-level tokenizer of 280 tokens with the ChatML markers."""
    text = ["user\nassistant\nsystem\nWhat is 1 plus 2? It is 3.\n"] * 4
    return Tokenizer.train(text, vocab_size=280, special_tokens=SPECIAL_TOKENS)


def tiny_decoder(*, seed: int = 0, vocab_size: int = 280) -> Decoder:
    """A decoder of two layers and 16 channels with weights large enough to tell tokens apart."""
    config = DecoderConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        intermediate_size=32,
        num_layers=2,
        num_heads=2,
        num_kv_heads=1,
        head_dim=8,
        max_seq_len=256,
        init_std=0.3,
    )
    return Decoder(config, generator=torch.Generator().manual_seed(seed))


def sums(count: int) -> list[tuple[Message, ...]]:
    """Chats about sums, of one and of two questions."""
    chats = []
    for k in range(count):
        turns = []
        for a in range(1 + k % 2):
            turns.append(Message(role="user", content=f"{k} plus {a}?"))
            turns.append(Message(role="assistant", content=f"{k + a}."))
        chats.append(tuple(turns))
    return chats


def preferences(count: int) -> list[PreferencePair]:
    """Prompts of one or three turns with a right answer and a longer wrong one."""
    return [
        PreferencePair(
            prompt=chat[:-1],
            chosen=chat[-1:],
            rejected=(Message(role="assistant", content=f"No idea {k}"),),
        )
        for k, chat in enumerate(sums(count))
    ]


def write_sums(path: Path, count: int) -> Path:
    """`sums` as a JSONL file."""
    write_conversations(path, sums(count))
    return path


def write_pairs(path: Path, count: int) -> Path:
    """`preferences` as a JSONL file."""
    write_preferences(path, preferences(count))
    return path
