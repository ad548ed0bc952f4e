"""linear: the shared checks, the quantiser's bound, the layout, and one reduction order."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops import build_info, linear, pack_linear, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.linear import PackedLinear
from llmcore.ops.linear.cases import FORMATS, SPEC, dispatcher, weight_of
from tests.support.check_op import OpChecks, unhooked

DTYPES = (torch.float32, torch.bfloat16)
KINDS = pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: f"{kind[0]}-{kind[1]}")


class TestLinear(OpChecks):
    spec = SPEC


# --- one reduction order -------------------------------------------------------------------------


def check_rows_do_not_depend_on_company() -> None:
    """Every row has the bits that it has alone, whatever M, the chunks and the threads."""
    sizes = {1: (*range(1, 34), 64, 192, 193, 256), 2: (1, 2, 8, 13, 256), 3: (1, 7, 193)}
    for kind in FORMATS:
        packed = weight_of(100, 300, kind)
        for dtype in DTYPES:
            x = normal(256, 300, dtype=dtype)
            bias = normal(100, dtype=dtype, seed=3)
            torch.set_num_threads(1)
            alone = torch.cat([linear(row[None], packed, bias) for row in x])
            for num_threads in sizes:
                torch.set_num_threads(num_threads)
                for size in sizes[num_threads]:
                    start = (7 * size) % (256 - size + 1)
                    got = linear(x[start : start + size], packed, bias)
                    assert torch.equal(got, alone[start : start + size]), (kind, dtype, size)
                chunks = [linear(part, packed, bias) for part in x.split(37)]
                assert torch.equal(torch.cat(chunks), alone), (kind, dtype, "chunks")


def check_passes_of_a_large_batch() -> None:
    """So many rows that the repacked x does not fit one pass, and a weight of many panels."""
    x = normal(900, 2500)
    for kind in (FORMATS[0], FORMATS[3]):
        packed = weight_of(65, 2500, kind)
        together = linear(x, packed)
        for row in (0, 191, 192, 450, 899):
            assert torch.equal(linear(x[row : row + 1], packed)[0], together[row]), (kind, row)


@pytest.mark.parametrize("isa", build_info()["cpu_isas_supported"])
@pytest.mark.native
def test_rows_do_not_depend_on_their_company(isa: str) -> None:
    command = [sys.executable, "-m", "tests.ops.test_linear"]
    done = subprocess.run(
        command,
        env=os.environ | {"LLMCORE_CPU_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == f"row independence holds on {isa}"


# --- formats -------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 128), (65, 33), (130, 257)])
def test_unpacked_weight_is_within_half_a_scale(
    kind: tuple[str, int | None], shape: tuple[int, int]
) -> None:
    weight = normal(*shape, seed=5)
    packed = pack_linear(weight, format=kind[0], group_size=kind[1])
    unpacked = packed.unpack(torch.float64)
    if kind[0] in ("float32", "bfloat16"):
        expected = weight.to(getattr(torch, kind[0])).double()
        assert torch.equal(unpacked, expected)
        return
    scales = packed.scales.double().transpose(1, 2).flatten(0, 1)[: shape[0]]
    per_input = scales.repeat_interleave(packed.group_size or shape[1], dim=1)[:, : shape[1]]
    assert ((weight.double() - unpacked).abs() <= per_input / 2 * (1 + 1e-6)).all()
    # The step is no coarser than it must be: the largest weight of a group is near q_max.
    q = (unpacked / per_input).abs().amax()
    assert q == {"int8": 127, "int4": 7}[kind[0]]


@KINDS
def test_float32_holds_the_unpacked_weight_exactly(kind: tuple[str, int | None]) -> None:
    packed = pack_linear(normal(70, 200) * 1e-3, format=kind[0], group_size=kind[1])
    assert torch.equal(packed.unpack().double(), packed.unpack(torch.float64))


def test_a_group_of_zeros_and_of_tiny_weights() -> None:
    weight = normal(2, 64)
    weight[0, :32] = 0
    weight[1] *= 1e-40
    for kind in ("int8", "int4"):
        packed = pack_linear(weight, format=kind, group_size=32)
        unpacked = packed.unpack()
        assert torch.equal(unpacked[0, :32], torch.zeros(32))
        assert torch.isfinite(unpacked).all()
        assert (unpacked[1] - weight[1]).abs().max() <= packed.scales[0, :, 1].max().float() / 2


def test_layout_in_memory() -> None:
    """The layout of csrc/ops/linear.h, so that stored tensors keep their meaning."""
    weight = torch.zeros(65, 9)
    weight[2, 5], weight[64, 8] = 7.0, -3.0
    by_channel = pack_linear(weight, format="float32").data
    assert by_channel.shape == (2, 9, 64)
    assert by_channel[0, 5, 2] == 7 and by_channel[1, 8, 0] == -3
    pairs = pack_linear(weight, format="bfloat16").data
    assert pairs.shape == (2, 5, 64, 2)
    assert pairs[0, 2, 2, 1] == 7 and pairs[1, 4, 0, 0] == -3
    int8 = pack_linear(weight, format="int8")
    assert int8.data.shape == (2, 5, 64, 2) and int8.scales.shape == (2, 1, 64)
    assert int8.data[0, 2, 2, 1] == 126 or int8.data[0, 2, 2, 1] == 127
    int4 = pack_linear(weight, format="int4", group_size=32)
    assert int4.data.shape == (2, 2, 64) and int4.scales.shape == (2, 1, 64)
    assert int4.data[0, 0, 2] == 7 << 24  # input 5 = 2 * 2 + 1: bits 16 + 4 * 2
    assert int4.scales[0, 0, 2] == 1 and int4.data[1, 1, 0] == 16 - 7  # -3 is -7 times 3 / 7


def test_sizes_in_memory() -> None:
    weight = normal(128, 256)
    num_bytes = {kind: pack_linear(weight, format=kind).num_bytes() for kind in ("float32", "int8")}
    assert num_bytes == {"float32": 128 * 256 * 4, "int8": 128 * 256 + 128 * 2}
    for size in (32, 64, 128):
        packed = pack_linear(weight, format="int4", group_size=size)
        assert packed.num_bytes() == 128 * 256 // 2 + 128 * 256 // size * 2


@KINDS
def test_plain_tensors_rebuild_the_weight(kind: tuple[str, int | None]) -> None:
    packed = weight_of(70, 90, kind)
    again = PackedLinear(
        data=packed.data.clone(),
        scales=packed.scales.clone(),
        in_size=90,
        out_size=70,
        format=packed.format,
        group_size=packed.group_size,
    )
    x = normal(3, 90)
    assert torch.equal(linear(x, again), linear(x, packed))
    assert torch.equal(packed.to("cpu").unpack(), packed.unpack())


def test_a_packed_weight_that_contradicts_itself() -> None:
    good = weight_of(70, 90, ("int4", 32))
    fields = {name: getattr(good, name) for name in ("data", "scales", "in_size", "out_size")}
    fields |= {"format": "int4", "group_size": 32}
    for change, error in (
        ({"in_size": 100}, ShapeError),
        ({"out_size": 200}, ShapeError),
        ({"scales": good.scales[:, :1]}, ShapeError),
        ({"scales": good.scales.float()}, DtypeError),
        ({"data": good.data.to(torch.int64)}, DtypeError),
        ({"format": "int8"}, ShapeError),
        ({"group_size": 48}, ConfigError),
        ({"format": "float32"}, ConfigError),
    ):
        with pytest.raises(error, match="^PackedLinear: .* must be .*got"):
            PackedLinear(**(fields | change))


def test_weights_that_cannot_be_packed() -> None:
    for weight, keywords, error in (
        (normal(4), {}, ShapeError),
        (torch.ones(2, 2, dtype=torch.int64), {}, DtypeError),
        (normal(2, 2), {"format": "int3"}, ConfigError),
        (normal(2, 2), {"format": "float32", "group_size": 32}, ConfigError),
        (normal(2, 2), {"format": "int8", "group_size": 0}, ConfigError),
        (torch.full((2, 2), float("inf")), {"format": "int8"}, ConfigError),
        (torch.full((2, 2), float("nan")), {"format": "int4"}, ConfigError),
    ):
        with pytest.raises(error, match="^pack_linear: .* must be .*got"):
            unhooked(pack_linear)(weight, **keywords)


# --- values --------------------------------------------------------------------------------------


@pytest.mark.golden
def test_stored_numbers() -> None:
    weight = torch.tensor([[1.0, -2.0, 3.5], [0.5, 0.0, -7.0]])
    x, bias = torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([10.0, -1.0])
    assert linear(x, pack_linear(weight), bias).tolist() == [[6.5, 7.0]]
    # int4: scales 0.5 and 1; 0.5 rounds to even, 0.
    packed = pack_linear(weight, format="int4", group_size=32)
    assert packed.unpack().tolist() == [[1.0, -2.0, 3.5], [0.0, 0.0, -7.0]]
    assert linear(x, packed, bias).tolist() == [[6.5, 6.0]]


@KINDS
def test_nan_and_infinity_reach_their_rows_only(kind: tuple[str, int | None]) -> None:
    packed = weight_of(70, 33, kind)
    x = normal(9, 33)
    clean = linear(x, packed)
    x[2, 32], x[5, 0] = float("nan"), float("inf")
    got = linear(x, packed)
    expected = F.linear(x, packed.unpack())
    assert torch.isnan(got[2]).all()
    assert torch.equal(torch.isfinite(got[5]), torch.isfinite(expected[5]))
    kept = [0, 1, 3, 4, 6, 7, 8]
    assert torch.equal(got[kept], clean[kept])


def test_infinite_float_weights_stay_in_their_column() -> None:
    weight = normal(65, 10)
    weight[64, 3] = float("inf")
    for kind in ("float32", "bfloat16"):
        got = linear(normal(7, 10), pack_linear(weight, format=kind))
        assert torch.isfinite(got[:, :64]).all() and not torch.isfinite(got[:, 64]).any()


@pytest.mark.native
def test_misaligned_tensors() -> None:
    for kind in FORMATS:
        packed = weight_of(70, 40, kind)
        moved = torch.empty(packed.data.numel() + 1, dtype=packed.data.dtype)[1:]
        moved.copy_(packed.data.flatten())
        x = torch.empty(3 * 40 + 1)[1:].view(3, 40).copy_(normal(3, 40))
        args = list(dispatcher(x, packed))
        args[1] = moved.view(packed.data.shape)
        assert torch.equal(torch.ops.llmcore.linear(*args), linear(x, packed))


def test_vocabulary_head_of_odd_size() -> None:
    x, packed = normal(2, 100), weight_of(50_257, 100, ("bfloat16", None))
    truth = F.linear(x.double(), packed.unpack(torch.float64))
    torch.testing.assert_close(linear(x, packed).double(), truth, rtol=1e-5, atol=1e-5)


# --- doors ---------------------------------------------------------------------------------------


@pytest.mark.native
def test_float64_is_for_the_reference_alone() -> None:
    x, packed = normal(2, 8).double(), weight_of(3, 8, FORMATS[0])
    with pytest.raises(DtypeError, match="^linear: x must be float32 or bfloat16, got float64"):
        linear(x, packed)
    with use_backend("reference"):
        assert linear(x.requires_grad_(), packed).requires_grad


def test_dispatcher_checks_everything_itself() -> None:
    packed = weight_of(70, 40, ("int4", 32))
    good = list(dispatcher(normal(2, 40), packed))
    bad = {
        0: [normal(2, 41), normal(2, 200), normal(2, 40).half(), torch.tensor(1.0)],
        1: [packed.data[:1], packed.data.float(), packed.data.to(torch.int64), packed.data[0]],
        2: [packed.scales[:, :1], packed.scales.float(), packed.scales[:0], normal(0)],
        3: [normal(69), normal(70, 1), normal(70).bfloat16(), torch.ones(70, dtype=torch.int64)],
        4: [-1, 71, 1 << 50, (1 << 63) - 1],
        5: [0, 1, 33, 64, -32],
    }
    torch.ops.llmcore.linear(*good)
    for position, values in bad.items():
        for value in values:
            args = good.copy()
            args[position] = value
            if position == 4 and value == 71:
                continue  # the same number of panels: one more column of zeros
            with pytest.raises(RuntimeError, match="linear: .* must be .*"):
                torch.ops.llmcore.linear(*args)


if __name__ == "__main__":
    check_rows_do_not_depend_on_company()
    check_passes_of_a_large_batch()
    print(f"row independence holds on {build_info()['cpu_isa']}")
