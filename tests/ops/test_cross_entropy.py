import math

import pytest
import torch

from llmcore.ops import cross_entropy
from llmcore.ops.cross_entropy.cases import SPEC
from tests.support.check_op import OpChecks


class TestCrossEntropy(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_closed_form() -> None:
    # Uniform logits cost ln V; two logits ln(1 + e^-d); smoothing mixes in the mean.
    assert cross_entropy(torch.zeros(1, 7), torch.tensor([3])).item() == pytest.approx(math.log(7))
    logits, label = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    hit, miss = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert cross_entropy(logits, label).item() == pytest.approx(hit)
    smooth = cross_entropy(logits, label, label_smoothing=0.2).item()
    assert smooth == pytest.approx(0.8 * hit + 0.2 * (hit + miss) / 2)


def test_label_out_of_range_raises() -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        cross_entropy(torch.zeros(1, 7), torch.tensor([7]))
