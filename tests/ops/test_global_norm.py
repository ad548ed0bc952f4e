"""global_norm: the shared checks, stored numbers, PyTorch's total norm, independence of threads."""

import math

import pytest
import torch

from llmcore.ops import global_norm
from llmcore.ops.cases import normal
from llmcore.ops.global_norm.cases import SPEC
from llmcore.ops.global_norm.pytorch import global_norm_torch
from tests.support.check_op import OpChecks


class TestGlobalNorm(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    assert global_norm([torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]).item() == 5.0
    assert global_norm([torch.tensor([1e-30])]).item() == pytest.approx(1e-30)
    assert global_norm([]).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_the_total_norm_of_torch(dtype: torch.dtype) -> None:
    tensors = [normal(50, 33, dtype=dtype), normal(7, dtype=dtype), normal(20_001, dtype=dtype)]
    expected = torch.nn.utils.get_total_norm([tensor.double() for tensor in tensors])
    assert global_norm(tensors).item() == pytest.approx(expected.item(), rel=1e-7)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    tensors = [normal(300, 257), normal(11), normal(100_003)]
    before = torch.get_num_threads()
    found = []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            found.append(global_norm(tensors).item())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_number_shows(broken: float) -> None:
    got = global_norm([normal(9000), torch.tensor([1.0, broken, 2.0])]).item()
    assert math.isnan(got) if math.isnan(broken) else got == math.inf


def test_float64_runs_the_reference() -> None:
    assert global_norm([torch.ones(4, dtype=torch.float64)]).dtype == torch.float64


def test_dispatcher_checks_dtypes_itself() -> None:
    with pytest.raises(RuntimeError, match="tensors must be float32, bfloat16 or float16"):
        torch.ops.llmcore.global_norm([torch.ones(3).int()])


def test_the_form_for_cuda_agrees_with_the_reference() -> None:
    for case in SPEC.cases(torch.float32)[:3]:
        torch.testing.assert_close(global_norm_torch(*case.args), SPEC.reference(*case.args))
