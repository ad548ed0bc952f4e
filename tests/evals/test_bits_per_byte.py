"""Every target counts once, with the context that the windows promise."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from llmcore.errors import ConfigError, DataError
from llmcore.evals.bits_per_byte import score_documents
from llmcore.models import Decoder, DecoderConfig


@pytest.fixture(scope="module")
def model() -> Decoder:
    config = DecoderConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=24,
        num_layers=1,
        num_heads=2,
        num_kv_heads=1,
        head_dim=8,
        max_seq_len=16,
        init_std=0.3,
    )
    model = Decoder(config, generator=torch.Generator().manual_seed(1))
    return model.requires_grad_(False)


def document(length: int, seed: int) -> np.ndarray:
    body = np.random.default_rng(seed).integers(1, 50, size=length)
    return np.concatenate([[0], body, [0]])


def test_short_documents_equal_plain_cross_entropy(model):
    docs = [document(3, 0), document(14, 1), document(7, 2)]
    nats = sum(
        F.cross_entropy(model(torch.tensor(d[None, :-1]))[0], torch.tensor(d[1:]), reduction="sum")
        for d in docs
    )
    score = score_documents(model, docs, num_bytes=60, seq_len=16, batch_size=2)
    assert score.num_tokens == 27
    assert score.bits == pytest.approx(float(nats) / math.log(2), rel=1e-5)
    assert score.bits_per_byte == score.bits / 60


@pytest.mark.parametrize("length", [15, 16, 17, 40, 57])
def test_a_long_document_is_read_in_half_overlapping_windows(model, length):
    ids = document(length, 3)
    nats, counted = 0.0, 0
    while counted < len(ids) - 1:
        end = min(len(ids) - 1, 16 if counted == 0 else counted + 8)
        start = max(0, end - 16)
        logits = model(torch.tensor(ids[None, start:end]))[0, counted - start :]
        targets = torch.tensor(ids[counted + 1 : end + 1])
        nats += float(F.cross_entropy(logits, targets, reduction="sum"))
        counted = end
    score = score_documents(model, [ids], num_bytes=1, seq_len=16)
    assert score.num_tokens == length + 1
    assert score.bits == pytest.approx(nats / math.log(2), rel=1e-5)


def test_what_cannot_be_scored_is_refused(model):
    with pytest.raises(ConfigError, match="seq_len"):
        score_documents(model, [document(3, 0)], num_bytes=9, seq_len=17)
    with pytest.raises(DataError, match="documents"):
        score_documents(model, [np.array([0])], num_bytes=9, seq_len=16)
