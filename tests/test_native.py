"""The loading of the native libraries: pure import, clear errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmcore import _native
from llmcore.errors import ConfigError


def test_missing_libraries_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_native, "CPU_LIBRARY", tmp_path / "libllmcore_cpu.so")
    with pytest.raises(ImportError, match="native library libllmcore_cpu.so is missing") as caught:
        _native.require_libraries()
    assert "\n" not in str(caught.value)


def test_unknown_instruction_set_names_the_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import llmcore.ops"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "LLMCORE_CPU_ISA": "sse9"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith(f"{ConfigError.__module__}.ConfigError")
    assert "must be one of baseline" in last and last.endswith("got sse9")


def test_import_does_not_import_torch() -> None:
    code = "import sys, llmcore; sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False
    )
    assert done.returncode == 0
