"""Projections: the formula, the group, and no draw from the global random stream."""

import pytest
import torch

from llmcore.nn import Linear, PackedProjection, linear_group
from llmcore.ops import pack_linear


def test_linear_is_x_times_weight_transposed() -> None:
    linear = Linear(2, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert linear(torch.tensor([[1.0, -1.0]])).tolist() == [[-1.0, -1.0, -1.0]]
    assert linear(torch.tensor([[1.0, 0.0]])).tolist() == [[1.0, 3.0, 5.0]]


def test_group_equals_its_members_in_order() -> None:
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    members = [Linear(4, size) for size in (6, 2, 3)]
    for member in members:
        torch.nn.init.normal_(member.weight, generator=torch.Generator().manual_seed(1))
    for output, member in zip(linear_group(x, members), members, strict=True):
        torch.testing.assert_close(output, member(x))


def test_building_draws_nothing() -> None:
    before = torch.get_rng_state()
    Linear(8, 8)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.native
def test_packed_projection_is_the_linear_without_its_parameter() -> None:
    linear = Linear(40, 70)
    torch.nn.init.normal_(linear.weight, generator=torch.Generator().manual_seed(2))
    packed = PackedProjection(pack_linear(linear.weight))
    x = torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(packed(x), linear(x).detach(), rtol=1e-5, atol=1e-5)
    assert not list(packed.parameters()) and not packed.state_dict()
    (alone,) = linear_group(x[:1, :1], [packed])
    assert torch.equal(alone, packed(x)[:1, :1])
