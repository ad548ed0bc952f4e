import torch

from llmcore.ops.cases import normal


def test_a_case_never_changes() -> None:
    state = torch.random.get_rng_state()
    assert torch.equal(normal(3, 4), normal(3, 4))
    assert not torch.equal(normal(3, 4), normal(3, 4, seed=1))
    assert torch.equal(torch.random.get_rng_state(), state)
