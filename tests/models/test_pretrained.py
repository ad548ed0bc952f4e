"""Model directories: round trip, what they hold, and refusal of damaged or contradictory ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from llmcore.errors import CheckpointError
from llmcore.models import Decoder, DecoderConfig, load_pretrained, load_stop_ids, save_pretrained

CONFIG = DecoderConfig(
    vocab_size=300,
    hidden_size=16,
    intermediate_size=24,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=4,
    max_seq_len=32,
    rope_theta=777.0,
    tie_embeddings=False,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_pretrained(Decoder(CONFIG), tmp_path / "model")
    return tmp_path / "model"


def edit_config(directory: Path, **change: object) -> None:
    fields = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(fields | change))


def edit_weights(directory: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Rewrite the weights as another program would, without our checksum."""
    weights = safetensors.torch.load_file(directory / "model.safetensors")
    edit(weights)
    safetensors.torch.save_file(weights, directory / "model.safetensors")


def test_round_trip_is_exact(saved: Path) -> None:
    expected, got = Decoder(CONFIG), load_pretrained(saved)
    assert got.config == CONFIG
    for (name, weight), (_, loaded) in zip(
        expected.named_parameters(), got.named_parameters(), strict=True
    ):
        assert torch.equal(weight, loaded), name
        assert loaded.requires_grad
    got(torch.tensor([[1, 2, 3]])).sum().backward()


def test_nothing_temporary_is_left(saved: Path) -> None:
    expected = {"config.json", "generation_config.json", "model.safetensors"}
    assert {file.name for file in saved.iterdir()} == expected
    assert [file.name for file in saved.parent.iterdir()] == ["model"]


def test_saving_again_keeps_the_other_files(saved: Path) -> None:
    (saved / "metrics.jsonl").write_text("{}\n")
    changed = Decoder(CONFIG, generator=torch.Generator().manual_seed(9))
    save_pretrained(changed, saved)
    assert (saved / "metrics.jsonl").read_text() == "{}\n"
    assert torch.equal(load_pretrained(saved).embed.weight, changed.embed.weight)
    assert not any(file.name.startswith(".") for file in saved.iterdir())


def test_dtype_is_stored_and_converted(saved: Path) -> None:
    save_pretrained(Decoder(CONFIG).to(torch.bfloat16), saved)
    assert json.loads((saved / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_pretrained(saved).embed.weight.dtype == torch.bfloat16
    assert load_pretrained(saved, dtype=torch.float32).embed.weight.dtype == torch.float32


@pytest.mark.parametrize("place", [-3, -700, 0.5])
def test_a_flipped_bit_is_found(saved: Path, place: float) -> None:
    file = saved / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if place == 0.5 else int(place)] ^= 0x10
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="model.safetensors: damaged"):
        load_pretrained(saved)


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5, 0.999])
def test_a_truncated_file_is_found(saved: Path, fraction: float) -> None:
    file = saved / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(CheckpointError, match="model.safetensors: damaged"):
        load_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"intermediate_size": 25},
            r"tensor model.layers.0.mlp.gate_proj.weight must be \(25, 16\) by config.json, "
            r"got \(24, 16\)",
        ),
        ({"num_key_value_heads": 1}, r"self_attn.k_proj.weight must be \(4, 16\).*got \(8, 16\)"),
        ({"num_hidden_layers": 3}, "tensor model.layers.2.input_layernorm.weight is missing"),
        ({"num_hidden_layers": 1}, "tensor model.layers.1.* is not part of the model"),
        ({"vocab_size": 301}, r"embed_tokens.weight must be \(301, 16\)"),
        ({"tie_word_embeddings": True}, "tensor lm_head.weight must equal the embedding"),
        ({"hidden_act": "relu"}, "hidden_act must be 'silu'"),
    ],
)
def test_config_that_contradicts_the_weights(
    saved: Path, change: dict[str, object], message: str
) -> None:
    edit_config(saved, **change)
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(saved)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda w: w.pop("model.norm.weight"), "tensor model.norm.weight is missing"),
        (lambda w: w.update(extra=torch.ones(1)), "tensor extra is not part of the model"),
        (lambda w: w["lm_head.weight"].fill_(float("nan")), "lm_head.weight must be finite"),
        (
            lambda w: w.update({"model.norm.weight": torch.ones(16, dtype=torch.int8)}),
            "model.norm.weight must be floating point, got torch.int8",
        ),
    ],
)
def test_wrong_tensors(
    saved: Path, edit: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    edit_weights(saved, edit)
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(saved)


def test_tied_config_accepts_an_equal_head(saved: Path) -> None:
    edit_config(saved, tie_word_embeddings=True)
    edit_weights(
        saved, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()})
    )
    assert load_pretrained(saved).lm_head is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_unreadable_config(saved: Path, text: str) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="config.json") as caught:
        load_pretrained(saved)
    assert "\n" not in str(caught.value)


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="config.json: no such file"):
        load_pretrained(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_old_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {file.name: file.read_bytes() for file in saved.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_pretrained(Decoder(CONFIG), saved)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    with pytest.raises(CheckpointError):
        save_pretrained(Decoder(CONFIG), saved.parent / "new")
    assert not (saved.parent / "new").exists()


@pytest.mark.parametrize(("ids", "expected"), [(7, (7,)), ([7, 9], (7, 9)), (None, ())])
def test_stop_ids(saved: Path, ids: object, expected: tuple[int, ...]) -> None:
    (saved / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    assert load_stop_ids(saved) == expected


def test_stop_ids_refuse_text(saved: Path) -> None:
    (saved / "generation_config.json").write_text('{"eos_token_id": "</s>"}')
    with pytest.raises(CheckpointError, match="eos_token_id must be integers"):
        load_stop_ids(saved)
