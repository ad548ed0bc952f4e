"""SFT loss and gradients equal trl's SFTTrainer on the same chats and weights (trl 1.16)."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llmcore.data import best_fit_decreasing, chat_example, encode_chat, packed_batch
from llmcore.models import load_pretrained, save_pretrained
from llmcore.tokenizers import Tokenizer
from llmcore.tuning import sft_loss
from tests.support.tiny_chat import sums, tiny_decoder, tiny_tokenizer

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")
transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

CHATS = sums(8)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sft") / "base"
    save_pretrained(tiny_decoder(), path, tokenizer=tiny_tokenizer(), chat=True)
    return path


@pytest.fixture(scope="module")
def trainer(model_dir: Path) -> Iterator[Any]:
    rows = [{"messages": [{"role": m.role, "content": m.content} for m in c]} for c in CHATS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield trl.SFTTrainer(
            model=transformers.AutoModelForCausalLM.from_pretrained(
                model_dir, dtype=torch.float32, attn_implementation="eager"
            ),
            args=trl.SFTConfig(
                output_dir=str(model_dir.parent / "trl"),
                assistant_only_loss=True,
                per_device_train_batch_size=len(CHATS),
                max_length=256,
                gradient_checkpointing=False,
                bf16=False,
                report_to="none",
                use_cpu=True,
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=transformers.AutoTokenizer.from_pretrained(model_dir),
        )
    gc.collect()


def _ours(model_dir: Path, *, seq_len: int) -> tuple[float, int, dict[str, torch.Tensor]]:
    tokenizer = Tokenizer.load(model_dir)
    model = load_pretrained(model_dir)
    examples = [chat_example(encode_chat(tokenizer, chat)) for chat in CHATS]
    rows = best_fit_decreasing([len(e.input_ids) for e in examples], capacity=seq_len)
    batch = packed_batch([[examples[i] for i in row] for row in rows], seq_len=seq_len)
    loss = sft_loss(model, batch)
    (loss.loss_sum / loss.num_tokens).backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.loss_sum.item() / loss.num_tokens, loss.num_tokens, grads


def test_loss_and_gradients_equal_trl(model_dir: Path, trainer: Any) -> None:
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.zero_grad()
    theirs = trainer.compute_loss(trainer.model, dict(batch))
    theirs.backward()
    loss, num_tokens, grads = _ours(model_dir, seq_len=256)
    assert num_tokens == int((batch["labels"][:, 1:] != -100).sum()) > 8
    assert loss == pytest.approx(theirs.item(), abs=1e-5)
    expected = dict(trainer.model.named_parameters())
    pairs = {
        "embed.weight": "model.embed_tokens.weight",
        "layers.0.attn.q_proj.weight": "model.layers.0.self_attn.q_proj.weight",
        "layers.1.ffn.down_proj.weight": "model.layers.1.mlp.down_proj.weight",
        "final_norm.weight": "model.norm.weight",
    }
    for name, hf_name in pairs.items():
        torch.testing.assert_close(grads[name], expected[hf_name].grad, atol=1e-5, rtol=1e-3)


def test_trained_tokens_are_those_that_trl_trains(model_dir: Path, trainer: Any) -> None:
    tokenizer = Tokenizer.load(model_dir)
    by_ids = {}
    for chat in CHATS:
        tokens = encode_chat(tokenizer, chat)
        by_ids[tuple(tokens.ids)] = [
            token if is_trained else -100
            for token, is_trained in zip(tokens.ids, tokens.loss_mask, strict=True)
        ]
    batch = next(iter(trainer.get_train_dataloader()))
    for ids, kept, labels in zip(
        batch["input_ids"], batch["attention_mask"].bool(), batch["labels"], strict=True
    ):
        assert labels[kept].tolist() == by_ids[tuple(ids[kept].tolist())]


def test_packing_order_equals_trl(trainer: Any) -> None:
    from trl.data_utils import pack_dataset

    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 17, (200,), generator=generator).tolist()
    sequences = [[k] * n for k, n in enumerate(lengths)]
    packed = pack_dataset(
        datasets.Dataset.from_dict({"input_ids": sequences}), seq_length=16, strategy="bfd"
    )
    bins = best_fit_decreasing(lengths, capacity=16)
    ours = [[token for i in chosen for token in sequences[i]] for chosen in bins]
    theirs = packed["input_ids"]
    assert len(ours) == len(theirs)
    assert ours == list(theirs)
