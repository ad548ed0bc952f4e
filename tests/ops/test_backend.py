import os
import subprocess
import sys

import pytest
import torch

from llmcore.errors import KernelUnavailable
from llmcore.ops import rms_norm, use_backend
from llmcore.ops.backend import choose, forced_backend

TABLE = {"cpu": "native"}


@pytest.mark.native
def test_the_device_chooses() -> None:
    assert choose("op", TABLE, "cpu") == "native"


@pytest.mark.native
def test_a_device_without_a_kernel_names_the_alternatives() -> None:
    with pytest.raises(KernelUnavailable, match=r'op: no kernel for device mps; .*use_backend\("'):
        choose("op", TABLE, "mps")


def test_a_backend_that_the_op_lacks_raises() -> None:
    with use_backend("torch"), pytest.raises(KernelUnavailable, match="no backend 'torch'"):
        rms_norm(torch.ones(2, 4), torch.ones(4))
    with use_backend("native"), pytest.raises(KernelUnavailable, match="no backend 'native'"):
        choose("op", {"cpu": "torch"}, "cpu")


@pytest.mark.native
def test_forcing_ends_with_the_block() -> None:
    with use_backend("reference"):
        assert forced_backend() == "reference" and choose("op", TABLE, "mps") == "reference"
        with use_backend("native"):
            assert forced_backend() == "native"
        assert forced_backend() == "reference"
    assert forced_backend() is None


def test_the_variable_forces_a_backend_for_a_whole_process() -> None:
    code = "from llmcore.ops.backend import forced_backend; print(forced_backend())"
    for value, expected in {"reference": "reference", "": "None"}.items():
        environ = {**os.environ, "LLMCORE_BACKEND": value}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def test_an_unknown_backend_raises() -> None:
    with pytest.raises(KernelUnavailable, match="got fastest"), use_backend("fastest"):
        pass
