"""pack_for_inference: same function, fewer bytes, the packed model is closed to saving."""

from pathlib import Path

import pytest
import torch

from llmcore.decoding import SamplingParams
from llmcore.errors import ConfigError
from llmcore.inference import generate
from llmcore.models import Decoder, DecoderConfig, pack_for_inference, save_pretrained
from llmcore.models.packing import is_packed
from llmcore.nn import Linear, PackedProjection


def config(*, tie: bool) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=72,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        max_seq_len=32,
        init_std=0.2,
        tie_embeddings=tie,
    )


def prompt_ids() -> torch.Tensor:
    return torch.randint(100, (3, 11), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tie", [True, False])
@torch.no_grad()
def test_float32_packing_keeps_the_function(tie: bool) -> None:
    model = Decoder(config(tie=tie))
    packed = pack_for_inference(model)
    torch.testing.assert_close(packed(prompt_ids()), model(prompt_ids()), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_quantised_weights_stay_near() -> None:
    model = Decoder(config(tie=False))
    logits = model(prompt_ids())
    errors = {}
    for kind in ("bfloat16", "int8", "int4"):
        got = pack_for_inference(model, format=kind)(prompt_ids())
        errors[kind] = ((got - logits).norm() / logits.norm()).item()
    assert errors["bfloat16"] < 0.02 and errors["int8"] < 0.03 and errors["int4"] < 0.4, errors


@torch.no_grad()
def test_a_bfloat16_model_stays_bfloat16() -> None:
    model = Decoder(config(tie=True)).bfloat16()
    packed = pack_for_inference(model, format="bfloat16")
    logits = packed(prompt_ids())
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits, model(prompt_ids()), rtol=0.05, atol=0.5)


def test_every_projection_is_packed_and_the_rest_is_shared() -> None:
    model = Decoder(config(tie=True))
    packed = pack_for_inference(model, format="int8")
    assert is_packed(packed) and not is_packed(model)
    assert not [m for m in packed.modules() if isinstance(m, Linear)]
    assert sum(isinstance(m, PackedProjection) for m in packed.modules()) == 2 * 7 + 1
    assert packed.embed.weight.data_ptr() == model.embed.weight.data_ptr()
    assert not [p for p in packed.parameters() if p.requires_grad]
    assert all(p.requires_grad for p in model.parameters())


def test_generation_is_that_of_the_model() -> None:
    model = Decoder(config(tie=False))
    params = SamplingParams(max_new_tokens=12)
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8], [9]]
    expected = generate(model, prompts, params)
    assert generate(pack_for_inference(model), prompts, params) == expected


def test_a_packed_model_is_not_saved_nor_packed_again(tmp_path: Path) -> None:
    packed = pack_for_inference(Decoder(config(tie=True)))
    with pytest.raises(ConfigError, match="save_pretrained: model must be .* got packed"):
        save_pretrained(packed, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="pack_for_inference: model must be unpacked"):
        pack_for_inference(packed)
