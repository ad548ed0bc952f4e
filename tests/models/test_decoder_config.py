"""Decoder shapes: published parameter counts, cache sizes, refusals."""

import dataclasses

import pytest
import torch

from llmcore.errors import ConfigError
from llmcore.models import Decoder, DecoderConfig


def shape(
    layers: int, hidden: int, heads: int, ffn: int, *, kv: int = 0, head_dim: int = 128,
    vocab: int = 32000, tied: bool = False,
) -> DecoderConfig:  # fmt: skip
    return DecoderConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv or heads,
        head_dim=head_dim,
        max_seq_len=2048,
        tie_embeddings=tied,
    )


PUBLISHED = {
    "llama1-7b": (shape(32, 4096, 32, 11008), 6_738_415_616),
    "llama1-13b": (shape(40, 5120, 40, 13824), 13_015_864_320),
    "llama1-33b": (shape(60, 6656, 52, 17920), 32_528_943_616),
    "llama1-65b": (shape(80, 8192, 64, 22016), 65_285_660_672),
    "llama2-70b": (shape(80, 8192, 64, 28672, kv=8), 68_976_648_192),
    "llama3-8b": (shape(32, 4096, 32, 14336, kv=8, vocab=128256), 8_030_261_248),
    "llama3-70b": (shape(80, 8192, 64, 28672, kv=8, vocab=128256), 70_553_706_496),
    "llama3-405b": (shape(126, 16384, 128, 53248, kv=8, vocab=128256), 405_853_388_800),
    "llama3.2-1b": (
        shape(16, 2048, 32, 8192, kv=8, head_dim=64, vocab=128256, tied=True),
        1_235_814_400,
    ),
    "llama3.2-3b": (shape(28, 3072, 24, 8192, kv=8, vocab=128256, tied=True), 3_212_749_824),
}


@pytest.mark.golden
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name: str) -> None:
    config, expected = PUBLISHED[name]
    assert config.num_params() == expected
    with torch.device("meta"):
        model = Decoder(dataclasses.replace(config, num_layers=2))
    built = sum(weight.numel() for weight in model.parameters())
    assert built == dataclasses.replace(config, num_layers=2).num_params()


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "expected"),
    [("llama1-7b", 524_288), ("llama3-8b", 131_072), ("llama2-70b", 327_680)],
)
def test_published_cache_bytes(name: str, expected: int) -> None:
    assert PUBLISHED[name][0].kv_bytes_per_token(2) == expected


def test_flops_follow_the_formula() -> None:
    # Counted by hand: two layers, C = 4, H = 2, Hkv = 1, D = 2, F = 3, V = 5, T = 10.
    config = shape(2, 4, 2, 3, kv=1, head_dim=2, vocab=5)
    matrices = 2 * (4 * 4 + 2 * 4 * 2 + 4 * 4 + 3 * 4 * 3) + 5 * 4
    assert config.flops_per_token(10) == 6 * matrices + 12 * 2 * 4 * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_kv_heads": 3}, "num_heads: must be a multiple of num_kv_heads = 3, got 4"),
        ({"hidden_size": 30}, "hidden_size: must be a multiple of num_heads = 4, got 30"),
        ({"head_dim": 7}, "head_dim: must be even"),
        ({"num_layers": 0}, "num_layers: must be at least 1, got 0"),
        ({"rope_theta": 0.0}, "rope_theta: must be above 0"),
        ({"norm_eps": float("nan")}, "norm_eps: must be above 0"),
        ({"init_std": -1.0}, "init_std: must be at least 0"),
    ],
)
def test_refusals(change: dict[str, float], message: str) -> None:
    config = shape(2, 32, 4, 48, kv=2, head_dim=8)
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(config, **change)
