"""A short run of the fuzzer, always the same calls; `make fuzz` is the long one, under ASan."""

import os
import random
import subprocess
import sys

import pytest
import torch

from tests.fuzz.mutations import garbage, with_layout
from tests.support.source_tree import REPO_ROOT

NUM_CALLS = 1500


def run_fuzzer(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.fuzz_ops", *words]
    environ = {key: value for key, value in os.environ.items() if key != "LLMCORE_BACKEND"}
    return subprocess.run(command, cwd=REPO_ROOT, env=environ, capture_output=True, text=True)


@pytest.mark.slow
def test_no_call_crashes_or_gives_other_values_than_the_reference() -> None:
    done = run_fuzzer("--calls", str(NUM_CALLS), "--seed", "1")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "public: compared" in done.stdout and "schema: refused" in done.stdout


def test_layouts_keep_the_values() -> None:
    rng = random.Random(3)
    layouts = set()
    for _ in range(60):
        x = torch.randn(3, 4, 5, dtype=rng.choice((torch.float32, torch.bfloat16)))
        copy = with_layout(rng, x)
        assert torch.equal(copy, x)
        layouts.add((copy.stride(), copy.storage_offset()))
    assert len(layouts) > 6


def test_garbage_knows_every_type_of_the_schemas() -> None:
    import llmcore.ops  # noqa: F401  (loads the schemas)

    found = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("llmcore::")]
    kinds = {str(argument.type) for schema in found for argument in schema.arguments}
    unknown = [
        kind
        for kind in kinds
        if "Optional" not in kind and all(garbage(random.Random(s), kind) is None for s in range(5))
    ]
    assert not unknown, f"teach tests/fuzz/mutations.py about {unknown}"
