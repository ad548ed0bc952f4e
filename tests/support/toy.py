"""A toy text, tokenizer, model, chats and preferences on disk, for tests that need a whole path."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TEXT = "".join(
    f"def function_{i}(x):\n    return x + {i}  # the quick brown fox, number {i}\n\n"
    for i in range(300)
)
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCAB_SIZE = 320
MAX_SEQ_LEN = 96
TRAIN_ASSIGNMENTS = [
    "train.num_steps=2",
    "train.rows_per_batch=2",
    "train.micro_batches=1",
    "train.seq_len=64",
    "train.eval_every=0",
]
MODEL_ASSIGNMENTS = [
    f"model.vocab_size={VOCAB_SIZE}",
    "model.hidden_size=32",
    "model.intermediate_size=64",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.num_kv_heads=2",
    "model.head_dim=16",
    f"model.max_seq_len={MAX_SEQ_LEN}",
]


def set_words(assignments: Iterable[str]) -> list[str]:
    """Assignments as words of a command line: `--set a=b --set c=d`."""
    return [word for assignment in assignments for word in ("--set", assignment)]


def write_documents(folder: Path, *, num_files: int = 100) -> Path:
    """Write a folder of small text files, enough to hold some out."""
    folder.mkdir(parents=True)
    for number, text in enumerate(TEXT.split("\n\n")[:num_files]):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


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


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
