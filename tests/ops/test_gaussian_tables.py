"""The segments of csrc/cpu/gaussian_tables.h, evaluated as the kernel does, against erfc."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

DOOR = "csrc/cpu/gaussian_tables.h"


def segments(text: str, name: str) -> tuple[float, np.ndarray]:
    found = re.search(rf"{name} = \{{\s*(\d+)\.0f / 1024\.0f,\s*(.*?)\}}\}};", text, re.S)
    assert found is not None
    numbers = [float(x) for x in re.findall(r"-?\d[\d.e+-]*(?=f)", found.group(2))]
    return int(found.group(1)) / 1024, np.array(numbers, np.float32).reshape(-1, 32)


@pytest.mark.parametrize(
    ("name", "tail_error", "slope_error", "slope_is_relative"),
    [("kNormalTail", 1.5e-7, 5e-7, True), ("kShortNormalTail", 1.5e-5, 5e-7, False)],
)
def test_errors_are_those_that_the_header_states(
    repo_root: Path, name: str, tail_error: float, slope_error: float, slope_is_relative: bool
) -> None:
    width, coefficients = segments((repo_root / DOOR).read_text(), name)
    for k in range(32):
        d = np.linspace(-width / 2 if k else 0, width / 2, 2001).astype(np.float32)
        t = k * width + d.astype(np.float64)
        tail, slope = np.full_like(d, coefficients[0, k]), np.zeros_like(d)
        for c in coefficients[1:, k]:  # Horner in float32, one rounding a step
            slope = (slope.astype(np.float64) * d + tail).astype(np.float32)
            tail = (tail.astype(np.float64) * d + c).astype(np.float32)
        true_tail = np.array([math.erfc(x / math.sqrt(2)) / 2 for x in t])
        density = np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
        assert np.abs(tail / true_tail - 1).max() < tail_error, f"segment {k}"
        off = np.abs(-slope - density) / (density if slope_is_relative else 1)
        assert off.max() < slope_error, f"slope of segment {k}"
