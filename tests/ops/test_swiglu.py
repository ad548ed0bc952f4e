import pytest
import torch

from llmcore.ops import swiglu
from llmcore.ops.swiglu.cases import SPEC
from tests.support.check_op import OpChecks


class TestSwiglu(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 4.1: silu at 1, -1, 3, -3.
    gate, up = torch.tensor([1.0, -1.0, 3.0, -3.0]), torch.tensor([1.0, 2.0, 1.0, 1.0])
    expected = torch.tensor([0.7310585786, -2 * 0.2689414214, 2.8577223805, -0.1422776195])
    torch.testing.assert_close(swiglu(gate, up), expected)
