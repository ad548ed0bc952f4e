"""The shared checks of the kernel contract; an op's test is a subclass that names its spec.

Run as a module, `python -m tests.support.check_op --values`, it checks the native ops in its own
process: so they run under another LLMCORE_CPU_ISA or a sanitizer.
"""

import functools
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import llmcore.ops
from llmcore.ops import build_info, op_backends, use_backend
from llmcore.ops.cases import OpCase, OpSpec, normal

Outputs = list[Tensor]


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply `change` to every tensor of nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(item, change) for item in value)
    return value


def widen(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def tensors_of(value: Any) -> Outputs:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return []


def run(function: Callable[..., Any], case: OpCase, change: Callable[[Tensor], Tensor]) -> Outputs:
    """Call on changed copies of the arguments; an op in place gives its arguments back."""
    args = map_tensors(case.args, lambda tensor: change(tensor.clone()))
    result = function(*args, **map_tensors(case.kwargs, change))
    return tensors_of(args if result is None else result)


def wanted_gradients(case: OpCase, grads: tuple[int | str, ...]) -> list[int | str]:
    """The arguments at `grads`, positions or keywords, that this case passes as tensors."""
    given: dict[int | str, Any] = {**dict(enumerate(case.args)), **case.kwargs}
    return [key for key in grads if isinstance(given.get(key), Tensor)]


def run_gradients(
    function: Callable[..., Any],
    case: OpCase,
    grads: tuple[int | str, ...],
    change: Callable[[Tensor], Tensor],
) -> Outputs:
    """Gradients of the arguments at `grads` against fixed random cotangents, one per output that
    has a gradient; strides are kept."""
    given: dict[int | str, Any] = {**dict(enumerate(case.args)), **case.kwargs}
    wanted = wanted_gradients(case, grads)
    for key, value in given.items():
        if key in wanted:
            given[key] = change(value.detach()).requires_grad_()
        else:
            given[key] = map_tensors(value, change)
    args = [given[idx] for idx in range(len(case.args))]
    outs = tensors_of(function(*args, **{key: given[key] for key in case.kwargs}))
    outs = [out for out in outs if out.requires_grad]
    cotangents = [normal(*out.shape, seed=17 + idx).to(out.dtype) for idx, out in enumerate(outs)]
    return list(torch.autograd.grad(outs, [given[key] for key in wanted], cotangents))


def gradient_scale(case: OpCase) -> float:
    """Largest product of a cotangent (normal: below 4) and an argument: a term of the backward.

    See docs/adr/0012: where terms cancel, the yardstick's own error may be 0 by luck.
    """
    floats = [tensor for tensor in tensors_of(case.args) if tensor.is_floating_point()]
    return 4 * max((tensor.abs().max().item() for tensor in floats if tensor.numel()), default=0)


def assert_close(
    name: str, got: Outputs, yardstick: Outputs, truth: Outputs, *, scale: float = 0.0
) -> None:
    """err(got) <= 2 err(yardstick) + half a unit in the last place of the largest value.

    `scale` is the size of the terms that the value sums in float32, where they may cancel.
    """
    assert len(got) == len(truth), name
    for idx, (mine, theirs, exact) in enumerate(zip(got, yardstick, truth, strict=True)):
        where = f"{name}, output {idx}"
        assert mine.shape == exact.shape and mine.dtype == theirs.dtype, where
        if exact.numel() == 0:
            continue
        largest = exact.abs().max().item()
        error = (mine.double() - exact).abs().max().item()
        allowed = 2 * (theirs.double() - exact).abs().max().item()
        allowed += (
            torch.finfo(mine.dtype).eps / 2 * largest + torch.finfo(torch.float32).eps * scale
        )
        if mine.dtype == torch.float32:
            allowed = min(allowed, 1e-5 * max(largest, scale))
        assert error <= allowed, f"{where}: error {error:.3e} > allowed {allowed:.3e}"


def unhooked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without the test suite's annotation checks, as a user calls it."""
    return inspect.unwrap(function)


def identity(tensor: Tensor) -> Tensor:
    return tensor


def check_values(spec: OpSpec, case: OpCase) -> None:
    with torch.no_grad():
        got = run(spec.public, case, identity)
        yardstick = run(spec.reference, case, identity)
        if spec.exact:
            assert all(torch.equal(a, b) for a, b in zip(got, yardstick, strict=True)), case.name
        else:
            assert_close(case.name, got, yardstick, run(spec.reference, case, widen))
        again = run(spec.public, case, identity)
    assert all(torch.equal(a, b) for a, b in zip(got, again, strict=True)), (
        f"{case.name}: runs differ"
    )


def check_gradients(spec: OpSpec, case: OpCase) -> None:
    got = run_gradients(spec.public, case, spec.grads, identity)
    yardstick = run_gradients(spec.reference, case, spec.grads, identity)
    truth = run_gradients(spec.reference, case, spec.grads, widen)
    assert_close(f"{case.name}, gradient", got, yardstick, truth, scale=gradient_scale(case))
    again = run_gradients(spec.public, case, spec.grads, identity)
    assert all(torch.equal(a, b) for a, b in zip(got, again, strict=True)), (
        f"{case.name}: runs differ"
    )


def check_reference_gradient(spec: OpSpec, case: OpCase) -> None:
    """float64 central differences along one random direction: the definition differentiates right.

    Steps of 1e-5 err by about 1e-10 of the third derivative and 1e-11 of the value, both far
    below 1e-6 of the terms that the slope sums.
    """
    given: dict[int | str, Any] = {**dict(enumerate(case.args)), **case.kwargs}
    given = {key: map_tensors(value, widen) for key, value in given.items()}
    wanted = wanted_gradients(case, spec.grads)
    if not wanted or any(given[key].numel() == 0 for key in wanted):
        return
    directions = {key: normal(*given[key].shape, seed=23).double() for key in wanted}

    def weighed(step: float) -> Tensor:
        moved = given | {key: given[key] + step * directions[key] for key in wanted}
        args = [moved[idx] for idx in range(len(case.args))]
        outs = tensors_of(spec.reference(*args, **{key: moved[key] for key in case.kwargs}))
        floats = [out.double() for out in outs if out.is_floating_point()]
        weights = [normal(*out.shape, seed=17 + idx) for idx, out in enumerate(floats)]
        return torch.stack(
            [(out * weight).sum() for out, weight in zip(floats, weights, strict=True)]
        ).sum()

    for key in wanted:
        given[key] = given[key].detach().requires_grad_()
    slopes = torch.autograd.grad(weighed(0.0), [given[key] for key in wanted])
    terms = [slope * directions[key] for slope, key in zip(slopes, wanted, strict=True)]
    found = torch.stack([term.sum() for term in terms]).sum()
    with torch.no_grad():
        expected = (weighed(1e-5) - weighed(-1e-5)) / 2e-5
    allowed = 1e-6 * torch.stack([term.abs().sum() for term in terms]).sum() + 1e-7
    assert abs(found - expected) <= allowed, f"{case.name}: slope {found}, expected {expected}"


def check_registered(spec: OpSpec, case: OpCase) -> None:
    """opcheck: schema, fake tensors, autograd registration, tracing with dynamic shapes."""
    assert spec.dispatcher is not None
    args = list(map_tensors(case.args, lambda tensor: tensor.detach()))
    kwargs = map_tensors(case.kwargs, lambda tensor: tensor.detach())
    for key in wanted_gradients(case, spec.grads):
        (args[key] if isinstance(key, int) else kwargs[key]).requires_grad_()
    namespace, name = (spec.registered or f"llmcore::{spec.name}").split("::")
    op = getattr(getattr(torch.ops, namespace), name).default
    torch.library.opcheck(op, spec.dispatcher(*args, **kwargs))


class OpChecks:
    """Subclass with `spec = ...cases.SPEC`; every method is a test of the kernel contract."""

    spec: ClassVar[OpSpec]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "dtype" in metafunc.fixturenames:
            dtypes = self.spec.dtypes
            metafunc.parametrize("dtype", dtypes, ids=[str(d)[len("torch.") :] for d in dtypes])

    def test_values(self, dtype: torch.dtype) -> None:
        for case in self.spec.cases(dtype):
            check_values(self.spec, case)

    def test_gradients(self, dtype: torch.dtype) -> None:
        for case in self.spec.cases(dtype) if self.spec.grads else []:
            check_gradients(self.spec, case)

    def test_reference_gradient_is_that_of_its_values(self) -> None:
        for case in self.spec.cases(torch.float32) if self.spec.grads else []:
            check_reference_gradient(self.spec, case)

    @pytest.mark.native
    def test_registered_op(self) -> None:
        dtype = self.spec.dtypes[0]
        for case in self.spec.cases(dtype)[1:4]:
            check_registered(self.spec, case)

    @pytest.mark.native  # the definition takes more dtypes and leaves ids and ranges to PyTorch
    def test_wrong_arguments_raise(self) -> None:
        for case in self.spec.wrong():
            with pytest.raises(case.error, match=f"^{self.spec.name}: .* must be .*got"):
                unhooked(self.spec.public)(*case.args, **case.kwargs)

    def test_reference_backend(self) -> None:
        case = self.spec.cases(torch.float32)[1]
        with torch.no_grad(), use_backend("reference"):
            got = run(self.spec.public, case, identity)
        with torch.no_grad():
            expected = run(self.spec.reference, case, identity)
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))

    @pytest.mark.native
    @pytest.mark.compile
    def test_compiles_to_one_graph(self) -> None:
        assert f"{self.spec.name}: compiles" in run_every_op("--compile", "")

    @pytest.mark.native
    def test_every_instruction_set(self) -> None:
        if op_backends()[self.spec.name]["cpu"] != "native":
            pytest.skip(f"{self.spec.name} has no native CPU kernel: it runs on PyTorch")
        facts = build_info()
        for isa in facts["cpu_isas_supported"]:
            if isa != facts["cpu_isa"]:
                assert f"{self.spec.name}: checked on {isa}" in run_every_op("--values", isa)


@functools.cache
def run_every_op(mode: str, isa: str) -> str:
    """Output of one other process that checks all ops: without the suite's annotation checks,
    which torch.compile cannot trace, and under the named instruction set."""
    command = [sys.executable, "-m", "tests.support.check_op", mode]
    environment = os.environ | ({"LLMCORE_CPU_ISA": isa} if isa else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{mode} {isa}: {done.stderr[-2000:]}"
    return done.stdout


def check_every_case(spec: OpSpec) -> None:
    if op_backends()[spec.name]["cpu"] != "native":
        return
    for dtype in spec.dtypes:
        for case in spec.cases(dtype):
            for num_threads in (1, 3):
                torch.set_num_threads(num_threads)
                check_values(spec, case)
                if spec.grads:
                    check_gradients(spec, case)
    print(f"{spec.name}: checked on {build_info()['cpu_isa']}", flush=True)


def check_compiles(spec: OpSpec) -> None:
    """One graph, right values. Ops that PyTorch's kernels serve need no code from Inductor."""
    native = op_backends()[spec.name]["cpu"] == "native"
    case = spec.cases(spec.dtypes[0])[1]
    backend = "inductor" if native else "aot_eager"
    compiled = torch.compile(spec.public, fullgraph=True, dynamic=False, backend=backend)
    with torch.no_grad():
        got, expected = run(compiled, case, identity), run(spec.public, case, identity)
        truth = run(spec.reference, case, identity if spec.exact else widen)
    if spec.exact:
        assert all(torch.equal(a, b) for a, b in zip(got, truth, strict=True))
    else:
        assert_close("compiled", got, expected, truth)
    if spec.grads:
        got = run_gradients(compiled, case, spec.grads, identity)
        expected = run_gradients(spec.public, case, spec.grads, identity)
        truth = run_gradients(spec.reference, case, spec.grads, widen)
        assert_close("compiled gradient", got, expected, truth, scale=gradient_scale(case))
    print(f"{spec.name}: compiles with {backend}", flush=True)


def main(mode: str) -> None:
    check = {"--values": check_every_case, "--compile": check_compiles}[mode]
    for folder in pkgutil.iter_modules(llmcore.ops.__path__):
        if folder.ispkg:
            check(importlib.import_module(f"llmcore.ops.{folder.name}.cases").SPEC)


if __name__ == "__main__":
    main(sys.argv[1])
