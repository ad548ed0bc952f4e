"""A toy text, tokenizer, model, chats and preferences on disk, for tests that need a whole path."""

import json
from pathlib import Path

TEXT = "".join(
    f"def function_{i}(x):\n    return x + {i}  # the quick brown fox, number {i}\n\n"
    for i in range(300)
)
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCAB_SIZE = 320
MAX_SEQ_LEN = 96


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer.json of VOCAB_SIZE ids that has the three chat tokens."""
    from llmcore.tokenizers import Tokenizer

    Tokenizer.train([TEXT], vocab_size=VOCAB_SIZE, special_tokens=SPECIAL_TOKENS).save(folder)
    return folder


def write_model(folder: Path, tokenizer_dir: Path) -> Path:
    """Write an untrained two-layer model in the Hugging Face layout, ready to chat."""
    import torch

    from llmcore.models import Decoder, DecoderConfig, save_pretrained
    from llmcore.tokenizers import Tokenizer

    config = DecoderConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        max_seq_len=MAX_SEQ_LEN,
    )
    model = Decoder(config, generator=torch.Generator().manual_seed(1))
    save_pretrained(model, folder, tokenizer=Tokenizer.load(tokenizer_dir), chat=True)
    return folder


def write_chats(path: Path, *, num_rows: int = 12) -> Path:
    """Write instruction rows as JSONL."""
    rows = (
        {
            "messages": [
                {"role": "user", "content": f"Say {i}."},
                {"role": "assistant", "content": f"{i}"},
            ]
        }
        for i in range(num_rows)
    )
    return _write_jsonl(path, rows)


def write_preferences(path: Path, *, num_rows: int = 12) -> Path:
    """Write preference rows as JSONL."""
    rows = (
        {
            "prompt": [{"role": "user", "content": f"Say {i}."}],
            "chosen": [{"role": "assistant", "content": f"{i}"}],
            "rejected": [{"role": "assistant", "content": f"{i + 1}!"}],
        }
        for i in range(num_rows)
    )
    return _write_jsonl(path, rows)


def _write_jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
