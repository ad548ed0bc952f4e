"""`import llmcore` opens no CUDA context, no socket and no file for writing, and needs no GPU."""

import os
import subprocess
import sys

from tests.support.source_tree import rooms

PROBE = """
import sys
import torch
seen = []
def audit(event, args):
    if event.startswith("socket."):
        seen.append(f"{event} {args!r}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append(f"open {args[0]!r} {args[1]!r}")
sys.addaudithook(audit)
import importlib
for module in sys.argv[1:]:
    importlib.import_module(module)
assert not torch.cuda.is_initialized(), "a CUDA context was opened"
assert not seen, seen
"""


def run_python(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *argv], env=environ, capture_output=True, text=True
    )


def test_importing_every_room_touches_nothing():
    done = run_python(PROBE, "llmcore", *(f"llmcore.{room.name}" for room in rooms()))
    assert done.returncode == 0, done.stderr


def test_the_probe_sees_a_file_opened_for_writing(tmp_path):
    (tmp_path / "impure_module.py").write_text(f"open({str(tmp_path / 'x')!r}, 'w').close()\n")
    done = run_python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + PROBE, "impure_module"
    )
    assert done.returncode != 0 and "open" in done.stderr
