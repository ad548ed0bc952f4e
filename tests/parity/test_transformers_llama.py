"""Our decoder against transformers' LlamaForCausalLM: logits, generation and files, both ways."""

import json
from pathlib import Path

import pytest
import torch

from llmcore.decoding import SamplingParams
from llmcore.inference import generate
from llmcore.models import Decoder, DecoderConfig, load_pretrained, save_pretrained
from llmcore.ops import use_backend

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity

LOGIT_TOLERANCE = 1e-4


def llama(*, tied: bool = False, num_kv_heads: int = 2, **fields: object) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        **{
            "vocab_size": 131,
            "hidden_size": 48,
            "intermediate_size": 72,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": num_kv_heads,
            "max_position_embeddings": 64,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e4},
            "initializer_range": 0.2,
            "tie_word_embeddings": tied,
            "attn_implementation": "eager",
            **fields,
        }
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:  # gains of one would hide a swapped norm
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def random_ids(*shape: int, vocab_size: int = 131) -> torch.Tensor:
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(1))


def decoder(*, tied: bool) -> Decoder:
    config = DecoderConfig(
        vocab_size=131,
        hidden_size=48,
        intermediate_size=80,
        num_layers=2,
        num_heads=6,
        num_kv_heads=3,
        head_dim=8,
        max_seq_len=64,
        rope_theta=3e4,
        norm_eps=1e-6,
        tie_embeddings=tied,
        init_std=0.2,
    )
    return Decoder(config, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_their_checkpoint_gives_their_logits(tmp_path: Path, tied: bool, num_kv_heads: int) -> None:
    theirs = llama(tied=tied, num_kv_heads=num_kv_heads)
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    ids = random_ids(2, 33)
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() <= LOGIT_TOLERANCE


@pytest.mark.parametrize("tied", [False, True])
def test_our_checkpoint_gives_our_logits_in_theirs(tmp_path: Path, tied: bool) -> None:
    ours = decoder(tied=tied)
    save_pretrained(ours, tmp_path)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    ids = random_ids(2, 33)
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() <= LOGIT_TOLERANCE


def test_head_dim_apart_from_hidden_size(tmp_path: Path) -> None:
    theirs = llama(head_dim=20)
    theirs.save_pretrained(tmp_path)
    ids = random_ids(2, 17)
    with torch.no_grad():
        gap = (load_pretrained(tmp_path)(ids) - theirs(ids).logits).abs().max()
    assert gap <= LOGIT_TOLERANCE


def test_sharded_checkpoint_equals_the_single_file(tmp_path: Path) -> None:
    theirs = llama()
    theirs.save_pretrained(tmp_path / "one")
    theirs.save_pretrained(tmp_path / "many", max_shard_size="40KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    one, many = load_pretrained(tmp_path / "one"), load_pretrained(tmp_path / "many")
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, many.state_dict()[name]), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_checkpoint_keeps_its_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    theirs = llama(initializer_range=0.05).to(dtype)
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    assert {weight.dtype for weight in ours.parameters()} == {dtype}
    ids = random_ids(2, 20)
    truth = load_pretrained(tmp_path, dtype=torch.float64)
    with torch.no_grad():
        with use_backend("reference"):
            expected = truth(ids)
        yardstick = (theirs(ids).logits.double() - expected).abs().max()
        assert (ours(ids).double() - expected).abs().max() <= 2 * yardstick


def test_round_trip_keeps_their_tensors(tmp_path: Path) -> None:
    theirs = llama(tied=True)
    theirs.save_pretrained(tmp_path / "theirs")
    save_pretrained(load_pretrained(tmp_path / "theirs"), tmp_path / "ours")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, back.state_dict()[name]), name
    assert back.config.rope_parameters["rope_theta"] == 5e4


def test_older_config_with_top_level_rope_theta(tmp_path: Path) -> None:
    theirs = llama()
    theirs.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    del fields["rope_parameters"]
    fields |= {"rope_theta": 5e4, "rope_scaling": None}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert load_pretrained(tmp_path).config.rope_theta == 5e4


def test_greedy_generation_equals_theirs_with_left_padding(tmp_path: Path) -> None:
    theirs = llama()
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    prompts = [random_ids(length).tolist() for length in (3, 11, 7)]
    longest = max(map(len, prompts))
    padded = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    expected = theirs.generate(
        padded,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=12,
        eos_token_id=None,
        pad_token_id=0,
    )[:, longest:]
    assert generate(ours, prompts, SamplingParams(max_new_tokens=12)) == expected.tolist()


def test_gradients_equal_theirs(tmp_path: Path) -> None:
    theirs = llama(tied=True)
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    ids = random_ids(2, 21)
    theirs(ids, labels=ids).loss.backward()
    logits = ours(ids[:, :-1]).flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).backward()
    expected = theirs.model.embed_tokens.weight.grad
    torch.testing.assert_close(ours.embed.weight.grad, expected, rtol=1e-4, atol=1e-5)
    expected = theirs.model.layers[1].self_attn.k_proj.weight.grad
    torch.testing.assert_close(
        ours.layers[1].attn.k_proj.weight.grad, expected, rtol=1e-4, atol=1e-5
    )
