from pathlib import Path

import pytest

from llmcore.tokenizers.whole_file import replacing


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    for content in (b"old", b"new"):
        with replacing(target) as stream:
            stream.write(content)
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(error), replacing(target) as stream:
        stream.write(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
