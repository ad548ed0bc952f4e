"""DPO losses, gradients and metrics equal trl's DPOTrainer on the same pairs and weights."""

import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llmcore.alignment import EncodedPair, encode_pair, pair_batch, pair_logprobs
from llmcore.losses import dpo_loss
from llmcore.models import load_pretrained, save_pretrained
from llmcore.tokenizers import Tokenizer
from tests.support.tiny_chat import preferences, tiny_decoder, tiny_tokenizer

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")
transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

PAIRS = preferences(6)
BETA = 0.3
MakeTrainer = Callable[..., Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dpo")
    tokenizer = tiny_tokenizer()
    save_pretrained(tiny_decoder(seed=1), path / "policy", tokenizer=tokenizer, chat=True)
    save_pretrained(tiny_decoder(seed=0), path / "reference", tokenizer=tokenizer, chat=True)
    return path


@pytest.fixture(scope="module")
def encoded(root: Path) -> list[EncodedPair]:
    tokenizer = Tokenizer.load(root / "policy")
    return [encode_pair(tokenizer, pair) for pair in PAIRS]


@pytest.fixture(scope="module")
def make_trainer(root: Path) -> Iterator[MakeTrainer]:
    rows = [
        {
            field: [{"role": m.role, "content": m.content} for m in getattr(pair, field)]
            for field in ("prompt", "chosen", "rejected")
        }
        for pair in PAIRS
    ]

    def load(name: str) -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(
            root / name, dtype=torch.float32, attn_implementation="eager"
        )

    def make(**settings: Any) -> Any:
        return trl.DPOTrainer(
            model=load("policy"),
            ref_model=load("reference"),
            args=trl.DPOConfig(
                output_dir=str(root / "trl"),
                beta=BETA,
                gradient_checkpointing=False,
                bf16=False,
                report_to="none",
                use_cpu=True,
                **settings,
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=transformers.AutoTokenizer.from_pretrained(root / "policy"),
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield make
    gc.collect()


def _trl_batch(encoded: list[EncodedPair]) -> dict[str, Any]:
    """Our tokens through trl's collator: it would train on the line end after the answer too."""
    collator = trl.trainer.dpo_trainer.DataCollatorForPreference(pad_token_id=0)
    rows = []
    for pair in encoded:
        start = next(t for t, label in enumerate(pair.chosen.labels) if label >= 0) + 1
        prompt = pair.chosen.input_ids[:start]
        rows.append({"prompt_ids": prompt})
        for field in ("chosen", "rejected"):
            example = getattr(pair, field)
            rows[-1][f"{field}_ids"] = example.labels[start - 1 :]
            assert [*prompt, *example.labels[start - 1 :]][:-1] == example.input_ids
    return collator(rows)


def _ours(root: Path, encoded: list[EncodedPair], label_smoothing: float = 0.0) -> Any:
    policy, reference = load_pretrained(root / "policy"), load_pretrained(root / "reference")
    batch = pair_batch(encoded, range(len(encoded)), seq_len=256)
    logprobs = pair_logprobs(policy, batch)
    with torch.no_grad():
        ref = pair_logprobs(reference, batch)
    loss = dpo_loss(
        logprobs.chosen,
        logprobs.rejected,
        ref.chosen,
        ref.rejected,
        beta=BETA,
        label_smoothing=label_smoothing,
    )
    return policy, logprobs, loss, batch


def test_loss_gradients_and_metrics_equal_trl(
    root: Path, encoded: list[EncodedPair], make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer()
    trainer.model.train()
    theirs = trainer.compute_loss(trainer.model, _trl_batch(encoded))
    theirs.backward()
    policy, logprobs, loss, _ = _ours(root, encoded)
    loss.losses.mean().backward()
    assert loss.losses.mean().item() == pytest.approx(theirs.item(), abs=1e-5)
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    ours = {
        "rewards/chosen": loss.chosen_rewards.mean(),
        "rewards/rejected": loss.rejected_rewards.mean(),
        "rewards/margins": (loss.chosen_rewards - loss.rejected_rewards).mean(),
        "rewards/accuracies": (loss.chosen_rewards > loss.rejected_rewards).float().mean(),
        "logps/chosen": logprobs.chosen.mean(),
        "logps/rejected": logprobs.rejected.mean(),
    }
    assert {name: metrics[name] for name in ours} == pytest.approx(
        {name: value.item() for name, value in ours.items()}, abs=1e-4
    )
    expected = dict(trainer.model.named_parameters())
    for name, hf_name in {
        "embed.weight": "model.embed_tokens.weight",
        "layers.1.attn.o_proj.weight": "model.layers.1.self_attn.o_proj.weight",
    }.items():
        grad = policy.get_parameter(name).grad
        torch.testing.assert_close(grad, expected[hf_name].grad, atol=1e-5, rtol=1e-3)


def test_conservative_dpo_equals_trl_aot_on_single_pairs(
    root: Path, encoded: list[EncodedPair], make_trainer: MakeTrainer
) -> None:
    # trl 1.16 has no smoothed sigmoid loss; AOT on a batch of one pair is the same formula.
    trainer = make_trainer(loss_type="aot", label_smoothing=0.1)
    _, _, loss, _ = _ours(root, encoded, label_smoothing=0.1)
    for k, pair in enumerate(encoded):
        with torch.no_grad():
            theirs = trainer.compute_loss(trainer.model, _trl_batch([pair]))
        assert loss.losses[k].item() == pytest.approx(theirs.item(), abs=1e-5)


def test_chosen_nll_equals_trl_sft_term(
    root: Path, encoded: list[EncodedPair], make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5])
    with torch.no_grad():
        theirs = trainer.compute_loss(trainer.model, _trl_batch(encoded))
    _, logprobs, loss, batch = _ours(root, encoded)
    nll = -logprobs.chosen.sum() / batch.num_chosen_tokens
    total = loss.losses.mean() + 0.5 * nll
    assert total.item() == pytest.approx(theirs.item(), abs=1e-5)
