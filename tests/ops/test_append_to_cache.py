"""append_to_cache_: the shared checks, and what an int8 cache loses."""

import pytest
import torch

from llmcore.ops import append_to_cache_
from llmcore.ops.append_to_cache.cases import HEADS, SPEC, tokens
from llmcore.ops.append_to_cache.register import append_to_cache_native_
from tests.support.check_op import OpChecks


class TestAppendToCache(OpChecks):
    spec = SPEC


@pytest.mark.parametrize("cache_dtype", [torch.float32, torch.int8], ids=str)
def test_only_the_slots_change(cache_dtype: torch.dtype) -> None:
    args = tokens(3, dtype=torch.float32, cache_dtype=cache_dtype)
    before = args[2].clone()
    append_to_cache_(*args)
    changed = (args[2] != before).flatten(0, 1).flatten(1).any(dim=1)
    assert sorted(changed.nonzero().flatten().tolist()) == sorted(args[4].tolist())


def test_int8_is_within_half_a_unit() -> None:
    args = tokens(9, dtype=torch.float32, cache_dtype=torch.int8)
    append_to_cache_(*args)
    k, keys, slots, scales = args[0], args[2].flatten(0, 1), args[4], args[5].flatten(0, 1)
    found = keys[slots].float() * scales[slots][..., None]
    largest = k.abs().amax(dim=-1, keepdim=True)
    assert ((found - k).abs() <= largest / 254 * (1 + 1e-5)).all()
    assert (keys[slots].abs().amax(dim=-1) == 127).all()


def test_rows_that_are_not_finite_store_zeros() -> None:
    k, *rest = tokens(3, dtype=torch.float32, cache_dtype=torch.int8)
    k[0, 0, 3], k[1, 1, 15], k[2, 2] = torch.inf, torch.nan, -torch.inf
    append_to_cache_(k, *rest)
    keys, slots, scales = rest[1].flatten(0, 1), rest[3], rest[4].flatten(0, 1)
    for token in range(3):
        assert not keys[slots[token], token].any() and scales[slots[token], token] == 0
        other = (token + 1) % HEADS
        assert keys[slots[token], other].any()


def test_strided_caches() -> None:
    args = list(tokens(4, dtype=torch.float32, cache_dtype=torch.float32))
    expected = [tensor.clone() for tensor in args[2:4]]
    append_to_cache_(*args[:2], *expected, args[4])
    strided = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in args[2:4]]
    append_to_cache_(*args[:2], *strided, args[4])
    assert all(torch.equal(a, b) for a, b in zip(strided, expected, strict=True))


def test_dispatcher_checks_everything_itself() -> None:
    k, v, keys, values, slots, *_ = tokens(3, dtype=torch.float32, cache_dtype=torch.float32)
    none = torch.empty(0)
    good = [k, v, keys, values, slots, none, none]
    append_to_cache_native_(*good)
    garbage = {
        0: [k[0], k.double(), k[:, :2], k[..., :3]],
        1: [v[:2], v.half(), v[..., :3]],
        2: [keys[0], keys.half(), keys[:1], keys.long()],
        3: [values[:1], values.bfloat16(), values.transpose(2, 3)],
        4: [slots + 1000, slots - 1000, slots[:1], slots.float()],
        5: [torch.ones(5, 4, 3)],
    }
    for position, found in garbage.items():
        for value in found:
            args = [*good[:position], value, *good[position + 1 :]]
            with pytest.raises(RuntimeError, match="^append_to_cache_: .* must be"):
                append_to_cache_native_(*args)
