"""Run the `llmcore` command: in a process of its own as a shell would, or quickly in this one."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock


def run_llmcore(
    *words: str | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    prelude: str = "",
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `llmcore WORDS` and return what it printed and its exit code.

    Args:
        words: The words after `llmcore`.
        stdin: Bytes of standard input, which is never a terminal here.
        cwd: Folder to run in.
        environ: Variables on top of this process's.
        prelude: Python to run before the command, e.g. to set a resource limit.
        timeout_s: Give up after so long.
    """
    code = f"import sys\n{prelude}\nfrom llmcore.cli import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        input=stdin,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **(environ or {})},
        capture_output=True,
        timeout=timeout_s,
    )
    return subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode("utf-8"),
        done.stderr.decode("utf-8"),
    )


def call_llmcore(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run `llmcore WORDS` in this process, which saves the start of an interpreter with Torch.

    Args:
        words: The words after `llmcore`.
        stdin: Bytes of standard input.
    """
    from llmcore.cli.app import run

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    text_in = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        with mock.patch.object(sys, "stdin", text_in):
            code = run(list(map(str, words)))
        out.flush()
        err.flush()
        printed = [stream.buffer.getvalue().decode("utf-8") for stream in (out, err)]
    return subprocess.CompletedProcess(words, code, *printed)


def assert_one_line_error(done: subprocess.CompletedProcess[str], *needles: str) -> None:
    """Exit code 2, nothing but one `llmcore: error:` line on stderr, and every needle in it."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("llmcore: error: "), done.stderr
    assert "Traceback" not in done.stderr
    for needle in needles:
        assert needle in done.stderr, f"{needle!r} not in {done.stderr!r}"
