"""Calls every op with broken arguments; only errors with a message are allowed, no crash.

    python -m tests.fuzz.fuzz_ops --seconds 600 [--seed 0]        # `make fuzz` has ASan too
    python -m tests.fuzz.fuzz_ops --replay 0:1234                 # one call of such a run again

Three kinds of calls, all found by discovery:
- public: a case of the op's `cases.py` through `llmcore.ops`, some arguments changed, now and then
  with a backward; where it succeeds, the values are compared with the reference's.
- raw: a call that a case made to `torch.ops.llmcore.*` (forward, backward, in place), changed.
- schema: random values of the types that a schema of `torch.ops.llmcore` names.
A worker process makes the calls and writes each one's number down first, so that the parent can
name the call at which it died. `LLMCORE_CPU_ISA` chooses the kernels.
"""

import argparse
import faulthandler
import importlib
import os
import pkgutil
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import llmcore.ops
from llmcore.errors import LLMCoreError
from llmcore.ops.cases import OpCase, OpSpec
from tests.fuzz.mutations import copied, fresh, garbage, mutated

ALLOWED = (LLMCoreError, RuntimeError, TypeError, ValueError, IndexError, OverflowError)
COMPARED = 0.5  # share of the successful public calls
SLOWEST_CALL_S = 120
MEMORY_BYTES = 12 << 30
CASES_PER_OP = 60
# Their references multiply a masked value by a weight of 0, which keeps its NaN; a kernel that
# never looks at it may give a number. And where values (their third argument) are not finite, the
# kernel may give NaN instead of what the reference has: 0 times infinity, the weight of a masked
# key or one below 2^-126 being 0.
MAY_IGNORE_NAN = ("attention", "attention_packed", "paged_attention")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    what: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    reference: Callable[..., Any] | None = None
    grads: tuple[int | str, ...] = ()
    exact: bool = False
    may_ignore_nan: bool = False


class RecordCalls(TorchDispatchMode):
    """Keeps the calls to `torch.ops.llmcore` that run under it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[Any, tuple[Any, ...], dict[str, Any]]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == "llmcore":
            known = self.calls.setdefault(str(func), [])
            if len(known) < CASES_PER_OP:
                known.append((func, copied(args), dict(kwargs or {})))
        return func(*args, **(kwargs or {}))


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


def specs() -> Iterator[OpSpec]:
    for folder in pkgutil.iter_modules(llmcore.ops.__path__):
        if folder.ispkg:
            yield importlib.import_module(f"llmcore.ops.{folder.name}.cases").SPEC


def schemas() -> list[Any]:
    """Every operator of the namespace, by name."""
    found = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("llmcore::")]
    names = sorted({schema.name.split("::")[1] for schema in found})
    return [getattr(torch.ops.llmcore, name).default for name in names]


class Fuzzer:
    """Knows all cases, raw calls and schemas; makes and runs the call of a seed."""

    def __init__(self) -> None:
        self.cases: list[tuple[OpSpec, list[OpCase]]] = []
        recorder = RecordCalls()
        for spec in specs():
            cases = [case for dtype in spec.dtypes for case in spec.cases(dtype)]
            self.cases.append((spec, cases))
            with recorder:
                for case in cases:
                    self._record(spec, case)
        self.raw = [recorder.calls[name] for name in sorted(recorder.calls)]
        self.schemas = schemas()
        self.outcomes: Counter[str] = Counter()

    def _record(self, spec: OpSpec, case: OpCase) -> None:
        def arguments() -> tuple[list[Any], dict[str, Any]]:
            named = {key: copied(value) for key, value in case.kwargs.items()}
            return [copied(arg) for arg in case.args], named

        args, kwargs = arguments()
        with torch.no_grad():
            spec.public(*args, **kwargs)
        if spec.grads:
            backward(random.Random(0), spec.public, *arguments(), spec)

    def make(self, seed: str) -> Call:
        """The call of a seed; twice the same seed gives two equal calls on separate tensors."""
        rng = random.Random(seed)
        kind = rng.random()
        if kind < 0.2 or not self.raw:
            op = rng.choice(self.schemas)
            types = [str(argument.type) for argument in op._schema.arguments]
            return Call(
                what=f"schema {op}",
                function=op,
                args=tuple(garbage(rng, kind) for kind in types),
                kwargs={},
            )
        if kind < 0.55:
            func, args, kwargs = rng.choice(rng.choice(self.raw))
            args, kwargs = broken_call(rng, args, kwargs)
            return Call(what=f"raw {func}", function=func, args=args, kwargs=kwargs)
        spec, cases = rng.choice(self.cases)
        case = rng.choice(cases)
        args, kwargs = broken_call(rng, case.args, case.kwargs)
        return Call(
            what=f"public {spec.name}, case {case.name}",
            function=spec.public,
            args=args,
            kwargs=kwargs,
            reference=spec.reference,
            grads=spec.grads,
            exact=spec.exact,
            may_ignore_nan=spec.name in MAY_IGNORE_NAN,
        )

    def run(self, seed: str) -> None:
        """Make and run one call.

        Raises:
            AssertionError: an error without a message, or values that are not the reference's.
        """
        rng = random.Random("how " + seed)
        torch.set_num_threads(rng.choice((1, 1, 2, 3)))
        call = self.make(seed)
        kind = call.what.split(" ")[0]
        try:
            if call.grads and rng.random() < 0.4:
                backward(rng, call.function, list(call.args), call.kwargs, call)
                self.outcomes[f"{kind}: backward"] += 1
                return
            with torch.no_grad():
                result = call.function(*call.args, **call.kwargs)
        except ALLOWED as error:
            assert str(error), f"{type(error).__name__} without a message"
            self.outcomes[f"{kind}: refused"] += 1
            return
        got = tensors_in(call.args if result is None else result)
        for tensor in got:
            tensor.numel() and tensor.double() if not tensor.is_complex() else None  # reads it all
        self.outcomes[f"{kind}: accepted"] += 1
        if call.reference is not None and is_defined(call) and rng.random() < COMPARED:
            self.compare(call, self.make(seed), self.make(seed), got)

    def compare(self, call: Call, again: Call, wide: Call, got: list[Tensor]) -> None:
        assert call.reference is not None
        try:
            with torch.no_grad():
                result = call.reference(*again.args, **again.kwargs)
                yardstick = tensors_in(again.args if result is None else result)
                args, kwargs = widened(wide.args), widened(wide.kwargs)
                result = call.reference(*args, **kwargs)
                truth = tensors_in(args if result is None else result)
        except Exception:  # the definition does not speak of such arguments
            self.outcomes["public: the reference refused"] += 1
            return
        if call.may_ignore_nan:
            excuse_channels(again.args[2], got, yardstick)
        assert_same(call, got, yardstick, truth)
        self.outcomes["public: compared"] += 1


def is_defined(call: Call) -> bool:
    """Whether the op says what comes out: of two equal slots of a cache either may win, and so of
    two slots in one place."""
    if call.function is not llmcore.ops.append_to_cache_:
        return True
    slots, caches = call.args[4], [tensor for tensor in call.args[2:] if isinstance(tensor, Tensor)]
    overlaps = any(
        stride == 0 and size > 1
        for cache in caches
        for size, stride in zip(cache.shape, cache.stride(), strict=True)
    )
    return slots.unique().numel() == slots.numel() and not overlaps


def excuse_channels(values: Any, got: list[Tensor], yardstick: list[Tensor]) -> None:
    """Where `values` (..., D) holds something not finite in a channel, NaN passes in it: such
    elements of `yardstick` become NaN too."""
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.dim() < 2:
        return
    loose = (~values.isfinite()).any(dim=tuple(range(values.dim() - 1)))
    for mine, theirs in zip(got, yardstick, strict=True):
        if mine.shape == theirs.shape and mine.shape[-1:] == loose.shape:
            theirs.masked_fill_(mine.isnan() & loose, torch.nan)


def widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(widened(item) for item in value)
    if isinstance(value, dict):
        return {key: widened(item) for key, item in value.items()}
    return value


def assert_same(
    call: Call, got: list[Tensor], yardstick: list[Tensor], truth: list[Tensor]
) -> None:
    """NaN where the reference has NaN, and elsewhere close to it. Wider than the kernel contract,
    whose place is tests/ops: this looks for wrong elements."""
    assert len(got) == len(yardstick), f"{len(got)} outputs, expected {len(yardstick)}"
    for mine, theirs, real in zip(got, yardstick, truth, strict=True):
        assert mine.shape == theirs.shape, f"shape {mine.shape}, expected {theirs.shape}"
        assert mine.dtype == theirs.dtype, f"dtype {mine.dtype}, expected {theirs.dtype}"
        if mine.numel() == 0 or mine.is_complex():
            continue
        if call.exact or not mine.is_floating_point():
            both_nan = (mine != mine) & (theirs != theirs)
            num_wrong = int(((mine != theirs) & ~both_nan).sum())
            assert num_wrong == 0, f"{num_wrong} of {mine.numel()} elements differ"
            continue
        spurious = mine.isnan() & ~theirs.isnan()
        assert not spurious.any(), f"{int(spurious.sum())} NaN where the reference has numbers"
        # 0 times infinity may be a rounding of the reference: gelu(-9) is 0 there, in float64 too.
        missing = theirs.isnan() & real.isnan() & mine.isfinite()
        assert call.may_ignore_nan or not missing.any(), f"{int(missing.sum())} NaN are lost"
        finite = theirs.isfinite() & real.isfinite()
        assert bool(mine[finite].isfinite().all()), "infinite where the reference is finite"
        dtype = mine.dtype
        mine, theirs, real = (x[finite].double() for x in (mine, theirs, real))
        if real.numel() == 0:
            continue
        eps = max(torch.finfo(dtype).eps, 1e-6)
        # The reference of gelu rounds its left tail, 4e-16 and less, to 0.
        allowed = 8 * (theirs - real).abs().max() + 4 * eps * real.abs().max() + 1e-15
        error = (mine - real).abs().max()
        assert error <= allowed, f"error {error:.3e} > allowed {allowed:.3e}"


def fresh_call(rng: random.Random, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    return [fresh(rng, arg) for arg in args], {key: fresh(rng, v) for key, v in kwargs.items()}


def broken_call(
    rng: random.Random, args: Any, kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Copies with other layouts, and none to three of the arguments changed."""
    listed, named = fresh_call(rng, args, kwargs)
    places: list[int | str] = [*range(len(listed)), *named]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))) if places else ():
        place = rng.choice(places)
        if isinstance(place, int):
            listed[place] = mutated(rng, listed[place])
        else:
            named[place] = mutated(rng, named[place])
    return tuple(listed), named


def backward(
    rng: random.Random, function: Any, args: list[Any], kwargs: dict[str, Any], spec: Any
) -> None:
    """Call with gradients and propagate cotangents, one in two of them a stride-0 expansion."""
    given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
    wanted = [
        given[key].requires_grad_()
        for key in spec.grads
        if isinstance(given.get(key), Tensor) and given[key].is_floating_point()
    ]
    outs = [out for out in tensors_in(function(*args, **kwargs)) if out.requires_grad]
    if not outs or not wanted:
        return
    cotangents = [
        torch.ones((), dtype=out.dtype).expand(out.shape)
        if rng.random() < 0.5
        else fresh(rng, torch.ones_like(out))
        for out in outs
    ]
    torch.autograd.grad(outs, wanted, cotangents, allow_unused=True)


# --- processes --------------------------------------------------------------------------------


def work(args: argparse.Namespace, seed: int, first: int, calls: int) -> None:
    """Run calls, each noted in the file `args.worker` first; exit 1 at the first finding, or with
    `--keep-going` at the end."""
    warnings.simplefilter("ignore")
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # its shadow memory is larger
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    fuzzer = Fuzzer()
    began = time.monotonic()
    for index in range(first, first + calls):
        if time.monotonic() - began > args.seconds:
            break
        name = f"{seed}:{index}"
        os.pwrite(args.worker, name.ljust(40).encode(), 0)
        faulthandler.dump_traceback_later(SLOWEST_CALL_S, exit=True)
        try:
            fuzzer.run(name)
        except Exception as error:
            call = fuzzer.make(name)
            fuzzer.outcomes[f"FOUND: {call.what.split(',')[0]}: {error} ({name})"[:150]] += 1
            if not args.keep_going:
                traceback.print_exc()
                describe(call)
                sys.exit(1)
    faulthandler.cancel_dump_traceback_later()
    for what, count in sorted(fuzzer.outcomes.items()):
        print(f"{count:8d} {what}")
    print(f"{len(fuzzer.schemas)} schemas, {len(fuzzer.raw)} of them in raw calls, seed {seed}")
    sys.exit(any(what.startswith("FOUND") for what in fuzzer.outcomes))


def describe(call: Call) -> None:
    def text(value: Any) -> str:
        if isinstance(value, Tensor):
            return (
                f"{value.dtype} {tuple(value.shape)} strides {value.stride()} "
                f"offset {value.storage_offset()}"
            )
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(map(text, value)) + "]"
        return repr(value)

    print(call.what, file=sys.stderr)
    for name, value in {**dict(enumerate(call.args)), **call.kwargs}.items():
        print(f"  {name}: {text(value)}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--calls", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replay", default="", help="SEED:NUMBER of one call")
    parser.add_argument("--keep-going", action="store_true", help="list all findings at the end")
    parser.add_argument("--worker", type=int, default=-1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    seed, first, calls = args.seed, 0, args.calls
    if args.replay:
        seed, first, calls = *map(int, args.replay.split(":")), 1
    if args.worker >= 0:
        work(args, seed, first, calls)
        return
    with tempfile.TemporaryFile() as progress:
        words = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.fuzz_ops", *sys.argv[1:]]
        words += ["--worker", str(progress.fileno())]
        done = subprocess.run(words, pass_fds=[progress.fileno()])
        if done.returncode != 0:
            last = os.pread(progress.fileno(), 40, 0).decode().strip()
            print(
                f"fuzz: failed with exit code {done.returncode}; the last call again: "
                f"python -m tests.fuzz.fuzz_ops --replay {last}",
                file=sys.stderr,
            )
            sys.exit(1)


if __name__ == "__main__":
    main()
