import pytest
import torch

from llmcore.ops import rope
from llmcore.ops.cases import normal
from llmcore.ops.rope.cases import SPEC, tables
from tests.support.check_op import OpChecks


class TestRope(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 5.5: d = 4, base 1e4, x = [1, 2, 3, 4], position 1.
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    cos, sin = tables(torch.tensor([1]), 4)
    half = [-1.984110648556, 1.959900667497, 2.462377902412, 4.019799668335]
    pairs = [-1.142639663748, 1.922075596544, 2.959850667913, 4.029799501669]
    torch.testing.assert_close(rope(x, cos, sin).flatten(), torch.tensor(half))
    got = rope(x, cos, sin, interleaved=True).flatten()
    torch.testing.assert_close(got, torch.tensor(pairs))


def test_scores_depend_on_the_distance_alone() -> None:
    q, k = normal(1, 1, 1, 16), normal(1, 1, 1, 16, seed=1)

    def score(query_at: int, key_at: int) -> float:
        turned = [
            rope(x, *tables(torch.tensor([at]), 16)) for x, at in ((q, query_at), (k, key_at))
        ]
        return (turned[0] * turned[1]).sum().item()

    assert score(7, 3) == pytest.approx(score(100_007, 100_003), abs=1e-4)
    assert score(7, 3) != pytest.approx(score(9, 3), abs=1e-2)
