import torch

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.shape_check import dtype_error, shape_error


def test_messages_name_op_argument_expected_and_got() -> None:
    shape = shape_error("op", "w", "(C,) = (4,)", torch.ones(3))
    assert isinstance(shape, ShapeError) and str(shape) == "op: w must be (C,) = (4,), got (3,)"
    dtype = dtype_error("op", "w", f"{torch.float32}", torch.ones(3, dtype=torch.bfloat16))
    assert isinstance(dtype, DtypeError)
    assert str(dtype) == "op: w must be float32, got bfloat16"
