"""paged_attention: the shared checks; the bits of contiguous attention; bad tables never crash."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from llmcore.ops import append_to_cache_, attention, paged_attention
from llmcore.ops.attention import AttentionSpec
from llmcore.ops.cases import normal
from llmcore.ops.paged_attention.arguments import raw_arguments
from llmcore.ops.paged_attention.cases import SPEC, paged
from llmcore.ops.paged_attention.reference import gather
from llmcore.ops.paged_attention.register import paged_attention_native
from tests.support.check_op import OpChecks

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


class TestPagedAttention(OpChecks):
    spec = SPEC


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("page", [1, 2, 16, 33, 64, 128, 256])
def test_paged_is_contiguous_to_the_bit(dtype: torch.dtype, page: int) -> None:
    lens, query_lens = [1, 64, 1100, 300], [1, 1, 2, 80]
    (q, keys, values), options = paged(
        query_lens, lens, dtype=dtype, page=page, heads=(6, 2), width=(20, 33)
    )
    for spec in (AttentionSpec(), AttentionSpec(window=70, softcap=3.0)):
        found = paged_attention(q, keys, values, **options, spec=spec)
        ends = options["cu_seqlens_q"].tolist()
        for b, length in enumerate(lens):
            table = options["block_tables"][b]
            k, v = (gather(cache, table, length, None, dtype)[None] for cache in (keys, values))
            alone = attention(q[None, ends[b] : ends[b + 1]], k, v, spec)
            assert torch.equal(found[ends[b] : ends[b + 1]], alone[0]), (b, spec)


@pytest.mark.parametrize("cache_dtype", [torch.float32, torch.bfloat16, torch.int8], ids=str)
@pytest.mark.native
def test_whole_chunked_and_token_by_token_agree_to_the_bit(cache_dtype: torch.dtype) -> None:
    """A prompt in chunks of any size, appended as it goes, with neighbours in the batch."""
    length, page, dtype = 150, 16, torch.float32
    q, k, v = normal(length, 4, 16), normal(length, 2, 16, seed=1), normal(length, 2, 16, seed=2)
    found = []
    for size in (length, 64, 7, 1):
        pages = torch.randperm(12, generator=torch.Generator().manual_seed(size))
        caches = [torch.zeros(12, page, 2, 16, dtype=cache_dtype) for _ in range(2)]
        scales = [torch.zeros(12, page, 2) if cache_dtype == torch.int8 else None] * 2
        scales = [None if s is None else s.clone() for s in scales]
        outs = []
        for begin in range(0, length, size):
            tokens = torch.arange(begin, min(begin + size, length))
            slots = pages[tokens // page] * page + tokens % page
            append_to_cache_(k[tokens], v[tokens], *caches, slots, *scales)
            batch = 1 + begin % 3  # the same sequence as many times
            out = paged_attention(
                q[tokens].repeat(batch, 1, 1).to(dtype),
                *caches,
                block_tables=pages.repeat(batch, 1),
                seq_lens=torch.full((batch,), int(tokens[-1]) + 1),
                cu_seqlens_q=torch.arange(batch + 1) * len(tokens),
                key_scales=scales[0],
                value_scales=scales[1],
            ).unflatten(0, (batch, -1))
            assert all(torch.equal(row, out[0]) for row in out)
            outs.append(out[0])
        found.append(torch.cat(outs))
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("cache_dtype", [torch.float32, torch.int8], ids=str)
def test_batch_and_threads_change_nothing(cache_dtype: torch.dtype) -> None:
    lens = [1030 + 9 * b for b in range(32)]
    (q, *caches), options = paged([1] * 32, lens, dtype=torch.float32, cache_dtype=cache_dtype)
    scales = {name: options.pop(name) for name in list(options) if name.endswith("scales")}
    found = []
    for num_threads in (1, 2, 3):
        torch.set_num_threads(num_threads)
        found.append(paged_attention(q, *caches, **options, **scales))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    for batch in (1, 2, 7):
        part = {
            "block_tables": options["block_tables"][:batch],
            "seq_lens": options["seq_lens"][:batch],
            "cu_seqlens_q": options["cu_seqlens_q"][: batch + 1],
        }
        alone = paged_attention(q[:batch], *caches, **part, **scales)
        assert torch.equal(alone, found[0][:batch])


def test_a_tree_of_drafts_equals_each_path_alone() -> None:
    (q, keys, values), options = paged([4], [40], dtype=torch.float32, page=8)
    # Drafts 0 -> 1 -> 3 and 0 -> 2, all at the end of 36 known tokens.
    tree = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 1]]).bool()
    found = paged_attention(q, keys, values, **options, mask=tree)
    table = options["block_tables"][0]
    k, v = (gather(cache, table, 40, None, q.dtype) for cache in (keys, values))
    for draft, path in enumerate(([0], [0, 1], [0, 2], [0, 1, 3])):
        kept = torch.tensor([*range(36), *[36 + node for node in path]])
        alone = attention(q[None, draft : draft + 1], k[None, kept], v[None, kept])
        torch.testing.assert_close(found[draft], alone[0, 0], rtol=1e-5, atol=1e-6)


def test_memory_outside_the_sequence_is_not_read() -> None:
    (q, keys, values), options = paged([1, 3], [9, 70], dtype=torch.float32, page=16)
    expected = paged_attention(q, keys, values, **options)
    used = torch.zeros(keys.shape[0], keys.shape[1], dtype=torch.bool)
    for table, length in zip(options["block_tables"], (9, 70), strict=True):
        tokens = torch.arange(length)
        used[table[tokens // 16], tokens % 16] = True
    keys[~used], values[~used] = torch.nan, torch.nan
    assert torch.equal(paged_attention(q, keys, values, **options), expected)


def garbage() -> dict[str, list[Any]]:
    (q, keys, values), options = paged([1, 2], [20, 30], dtype=torch.float32)
    tables: Tensor = options["block_tables"]
    return {
        "q": [q[0], q.double(), q[:, :3], q[..., :5]],
        "key_cache": [keys[0], keys.half(), keys[:, :, :, :3], keys.transpose(2, 3), keys[:, :0]],
        "value_cache": [values[:1], values.bfloat16(), values[0]],
        "block_tables": [tables[:1], tables + 1000, tables - 1000, tables.float(), tables[:, :1]],
        "seq_lens": [torch.tensor([20, 2**62]), torch.tensor([-1, 5]), torch.tensor([1])],
        "cu_seqlens_q": [torch.tensor([0, 4, 3]), torch.tensor([0, 3]), torch.empty(0)],
        "mask": [torch.ones(2, 2).bool(), torch.ones(3, 2)],
        "sinks": [torch.ones(3)],
        "key_scales": [torch.ones(1)],
    }


@pytest.mark.parametrize("name", list(garbage()))
def test_dispatcher_checks_everything_itself(name: str) -> None:
    (q, keys, values), options = paged([1, 2], [20, 30], dtype=torch.float32)
    good = {"q": q, "key_cache": keys, "value_cache": values, **options}
    paged_attention_native(*raw_arguments(**good))
    for value in garbage()[name]:
        with pytest.raises(RuntimeError, match="^paged_attention: .* must be"):
            paged_attention_native(*raw_arguments(**{**good, name: value}))
