"""A small tokenizer and a small untrained chat model on disk, made once for the whole folder."""

from pathlib import Path

import pytest

TEXT = "".join(
    f"def function_{i}(x):\n    return x + {i}  # the quick brown fox, number {i}\n\n"
    for i in range(300)
)


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a tokenizer.json of 320 ids that has the three chat tokens."""
    from llmcore.tokenizers import Tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    Tokenizer.train([TEXT], vocab_size=320, special_tokens=special).save(folder)
    return folder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, tokenizer_dir: Path) -> Path:
    """Folder of an untrained two-layer model in the Hugging Face layout."""
    import torch

    from llmcore.models import Decoder, DecoderConfig, save_pretrained
    from llmcore.tokenizers import Tokenizer

    tokenizer = Tokenizer.load(tokenizer_dir)
    config = DecoderConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        max_seq_len=96,
    )
    folder = tmp_path_factory.mktemp("models") / "toy"
    model = Decoder(config, generator=torch.Generator().manual_seed(1))
    save_pretrained(model, folder, tokenizer=tokenizer, chat=True)
    return folder


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with something to learn."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path
