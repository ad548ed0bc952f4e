import pytest
import torch

from llmcore.ops import adamw_
from llmcore.ops.adamw.cases import SPEC
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks


class TestAdamW(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_number() -> None:
    # w 1, g .5, lr .1, decay .1: after one step .890000002.
    param, grad = torch.ones(1), torch.full((1,), 0.5)
    adamw_(
        [param],
        [grad],
        [torch.zeros(1)],
        [torch.zeros(1)],
        step=1,
        lr=0.1,
        betas=(0.9, 0.95),
        eps=1e-8,
        weight_decay=0.1,
    )
    assert param.item() == pytest.approx(0.890000002, rel=1e-7)


def test_equals_the_optimizer_of_torch_over_steps() -> None:
    weight = normal(5, 3)
    theirs = torch.nn.Parameter(weight.clone())
    options = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = torch.optim.AdamW([theirs], **options)
    ours, exp_avg, exp_avg_sq = weight.clone(), torch.zeros(5, 3), torch.zeros(5, 3)
    for step in range(1, 6):
        grad = normal(5, 3, seed=step)
        theirs.grad = grad.clone()
        optimizer.step()
        adamw_([ours], [grad], [exp_avg], [exp_avg_sq], step=step, **options)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)
