"""docs/adr/0012: how much a gradient may err where its terms cancel, and no more."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from llmcore.ops import rms_norm
from llmcore.ops.rms_norm.cases import SPEC
from tests.support.check_op import assert_close, check_gradients

SCALE = 8.0
UNIT = SCALE * torch.finfo(torch.float32).eps


def check_error(error: float, scale: float) -> None:
    """A result of zero with a perfect yardstick: what is allowed is the floor alone."""
    zero = torch.zeros(3)
    assert_close("op", [torch.full((3,), error)], [zero], [zero.double()], scale=scale)


def test_the_floor_is_one_rounding_of_the_largest_term() -> None:
    check_error(0.99 * UNIT, SCALE)
    with pytest.raises(AssertionError, match="allowed"):
        check_error(1.01 * UNIT, SCALE)


def test_values_have_no_floor() -> None:
    with pytest.raises(AssertionError, match="allowed"):
        check_error(1e-12, 0.0)


def test_a_gradient_that_is_slightly_wrong_fails() -> None:
    def stretched(x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x, weight * (1 + 2e-5))

    case = next(case for case in SPEC.cases(torch.float32) if case.name == "130x192")
    check_gradients(SPEC, case)
    with pytest.raises(AssertionError, match="gradient, output"):
        check_gradients(replace(SPEC, public=stretched), case)
