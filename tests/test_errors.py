"""The error classes are caught by their root and by the built-in class that a caller expects."""

import inspect

import pytest

from llmcore import errors

USER_ERRORS = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, errors.LLMCoreError)
]


def test_there_are_the_documented_classes():
    names = {cls.__name__ for cls in USER_ERRORS}
    assert names >= {"ShapeError", "DtypeError", "ConfigError", "DataError", "CheckpointError"}


@pytest.mark.parametrize("cls", USER_ERRORS[1:])
def test_each_is_also_the_builtin_error_that_a_caller_expects(cls):
    assert issubclass(cls, ValueError | RuntimeError)


def test_an_interrupt_is_no_user_error():
    assert issubclass(errors.Interrupted, KeyboardInterrupt)
    assert not issubclass(errors.Interrupted, Exception)
