"""The corpus that Python carries: fixed, capped, without tests and site-packages."""

from llmcore.data.python_corpus import python_documents


def test_the_corpus_is_fixed_and_capped():
    documents = python_documents(max_bytes=1_000_000)
    assert documents == python_documents(max_bytes=1_000_000)
    assert 900_000 < sum(d.num_bytes for d in documents) <= 1_000_000


def test_what_is_in_it():
    names = {d.name for d in python_documents(max_bytes=50_000_000)}
    assert {"stdlib/argparse.py", "stdlib/json/decoder.py", "topics/while"} <= names
    assert not [name for name in names if "/test/" in name or "site-packages" in name]


def test_a_smaller_corpus_is_not_sorted_by_name():
    names = [d.name for d in python_documents(max_bytes=1_000_000)]
    assert names != sorted(names)
    assert any(name.startswith("topics/") for name in names)
    assert any(name.startswith("stdlib/") for name in names)
