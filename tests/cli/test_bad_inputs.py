"""Every bad input is one line, exit code 2, and leaves nothing half-written."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import toy
from tests.support.command import assert_one_line_error, call_llmcore, run_llmcore

TOY_PRETRAIN = [
    "--quiet",
    *toy.set_words([*toy.TRAIN_ASSIGNMENTS, *toy.MODEL_ASSIGNMENTS]),
    *toy.set_words(["train.num_steps=4", "train.checkpoint_every=2"]),
]


def files_in(folder: Path) -> set[str]:
    """Names of everything below `folder`, or nothing if it does not exist."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def pretrain_words(data: Path, tokenizer: Path, out: Path) -> list[str]:
    inputs = toy.set_words([f"data={data}", f"tokenizer={tokenizer}"])
    return ["pretrain", "tiny", *TOY_PRETRAIN, *inputs, "--out", str(out)]


BAD_DATA = {
    "missing": (None, "nope"),
    "empty": (b"", "empty"),
    "binary": (b"\x7fELF\x00\x01\x02" * 100, "data"),
    "invalid-utf8": (b"plain text, then " + b"\xc3\x28 oops", "UTF-8"),
}


@pytest.fixture(params=BAD_DATA, ids=str)
def bad_data(request, tmp_path) -> tuple[Path, str]:
    """A data file that no command can use, and a word that its error must have."""
    content, needle = BAD_DATA[request.param]
    path = tmp_path / ("nope.txt" if content is None else "data.txt")
    if content is not None:
        path.write_bytes(content)
    return path, needle


def test_tokenizer_train_refuses_bad_data(bad_data, tmp_path):
    data, needle = bad_data
    out = tmp_path / "out"
    done = call_llmcore("tokenizer", "train", data, "--vocab-size", "300", "--out", out)
    assert_one_line_error(done, data.name)
    assert needle.lower() in done.stderr.lower()
    assert not out.exists()


def test_pretrain_refuses_bad_data(bad_data, tmp_path, tokenizer_dir):
    data, needle = bad_data
    out = tmp_path / "out"
    done = call_llmcore(*pretrain_words(data, tokenizer_dir, out))
    assert_one_line_error(done, data.name)
    assert needle.lower() in done.stderr.lower()
    assert not files_in(out)


@pytest.mark.parametrize("command", ["sft", "dpo"])
def test_tuning_refuses_bad_data(command, bad_data, tmp_path, model_dir):
    data, needle = bad_data
    out = tmp_path / "out"
    paths = ["--set", f"init_from={model_dir}", "--set", f"train_data={data}"]
    done = call_llmcore(command, "tiny", *paths, "--set", "train.seq_len=64", "--out", out)
    assert_one_line_error(done, data.name)
    assert not files_in(out)


def test_a_malformed_jsonl_row_is_named_by_its_line(tmp_path, model_dir):
    data = toy.write_chats(tmp_path / "rows.jsonl")
    data.write_text(data.read_text() + '{"messages": [{"role": "wizard", "content": "x"}]}\n')
    paths = ["--set", f"init_from={model_dir}", "--set", f"train_data={data}"]
    words = ["sft", "tiny", *paths, "--set", "train.seq_len=64", "--out", tmp_path / "out"]
    assert_one_line_error(call_llmcore(*words), "rows.jsonl:13", "wizard")


@pytest.mark.parametrize("size", ["255", "0", "-1"])
def test_a_vocabulary_smaller_than_the_bytes_is_refused(size, text_file, tmp_path):
    out = tmp_path / "out"
    words = ["tokenizer", "train", text_file, "--vocab-size", size, "--out", out]
    assert_one_line_error(call_llmcore(*words), "vocab_size", size)
    assert not out.exists()


@pytest.mark.parametrize(
    ("assignment", "needles"),
    [
        ("optim.peek_lr=1", ["optim.peek_lr", "optim.peak_lr"]),
        ("train.num_steps=many", ["num_steps", "many"]),
        ("train.num_steps", ["KEY=VALUE"]),
        ("optim.peak_lr=-1", ["peak_lr", "-1"]),
    ],
)
def test_a_bad_assignment_is_refused_with_a_suggestion(assignment, needles, tmp_path):
    out = tmp_path / "out"
    done = call_llmcore("pretrain", "tiny", "--set", assignment, "--out", out)
    assert_one_line_error(done, *needles)
    assert not out.exists()


def test_an_unknown_recipe_is_refused_with_a_suggestion(tmp_path):
    done = call_llmcore("pretrain", "tinny", "--out", tmp_path / "out")
    assert_one_line_error(done, "tinny", "did you mean 'tiny'")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def broken_model(tmp_path, model_dir) -> Path:
    """A private copy of the toy model, to be broken."""
    return Path(shutil.copytree(model_dir, tmp_path / "model"))


def flip_bit(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def generate(model: Path) -> subprocess.CompletedProcess[str]:
    return call_llmcore("generate", model, "hello", "--max-new-tokens", "2")


def test_the_unbroken_model_speaks(broken_model):
    assert generate(broken_model).returncode == 0


def test_a_truncated_model_is_refused(broken_model):
    truncate(broken_model / "model.safetensors")
    assert_one_line_error(generate(broken_model), "model.safetensors")


@pytest.mark.parametrize("where", ["header", "middle", "end"])
def test_a_flipped_bit_in_the_weights_is_refused(where, broken_model):
    weights = broken_model / "model.safetensors"
    size = weights.stat().st_size
    flip_bit(weights, {"header": 20, "middle": size // 2, "end": size - 1}[where])
    assert_one_line_error(generate(broken_model), "model.safetensors")


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", 64), ("num_hidden_layers", 3), ("vocab_size", 321), ("num_heads", None)],
)
def test_a_config_that_contradicts_its_weights_is_refused(field, value, broken_model):
    path = broken_model / "config.json"
    table = json.loads(path.read_text())
    if value is None:
        del table["num_attention_heads"]
    else:
        table[field] = value
    path.write_text(json.dumps(table))
    assert_one_line_error(generate(broken_model))


def test_a_config_that_is_no_json_is_refused(broken_model):
    truncate(broken_model / "config.json")
    assert_one_line_error(generate(broken_model), "config.json")


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": 3}', b"\xff\xfe"])
def test_a_damaged_tokenizer_is_refused(content, broken_model):
    (broken_model / "tokenizer.json").write_bytes(content)
    assert_one_line_error(generate(broken_model), "tokenizer.json")


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_a_missing_model_is_refused(command, tmp_path):
    words = [tmp_path / "nope"] + (["hello"] if command == "generate" else [])
    assert_one_line_error(call_llmcore(command, *words), "nope")


@pytest.fixture
def interrupted_run(tmp_path, tokenizer_dir) -> list[str]:
    """The words of a toy run that has finished with checkpoints in its folder."""
    words = pretrain_words(
        toy.write_documents(tmp_path / "documents"), tokenizer_dir, tmp_path / "out"
    )
    done = call_llmcore(*words)
    assert done.returncode == 0, done.stderr
    return words


@pytest.mark.parametrize("damage", [truncate, lambda path: flip_bit(path, -9)], ids=["cut", "bit"])
def test_damaged_checkpoints_are_refused_or_passed_over_loudly(damage, interrupted_run, tmp_path):
    """With every checkpoint damaged there is nothing to go on from, and the run says so."""
    for path in (tmp_path / "out" / "checkpoints").rglob("*.safetensors"):
        damage(path)
    assert_one_line_error(call_llmcore(*interrupted_run), "checkpoint")


def test_one_damaged_checkpoint_falls_back_with_a_warning(interrupted_run, tmp_path):
    newest = max((tmp_path / "out" / "checkpoints").iterdir())
    truncate(newest)
    done = call_llmcore(*interrupted_run)
    assert done.returncode == 0, done.stderr
    assert newest.name in done.stderr


FILE_SIZE_LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


def test_a_file_that_cannot_grow_while_saving_is_refused(tmp_path, tokenizer_dir):
    """A limit on the file size stops the write of the weights as a full disk would."""
    words = pretrain_words(
        toy.write_documents(tmp_path / "documents"), tokenizer_dir, tmp_path / "out"
    )
    done = run_llmcore(*words, prelude=FILE_SIZE_LIMIT.format(30_000))
    assert_one_line_error(done)
    left = files_in(tmp_path / "out")
    assert not {name for name in left if "model.safetensors" in name or ".tmp" in name}, left


def test_a_full_disk_while_saving_is_refused(tmp_path, tokenizer_dir):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {mounted.stderr.decode().strip()}")
    try:
        words = pretrain_words(
            toy.write_documents(tmp_path / "documents"), tokenizer_dir, disk / "out"
        )
        assert_one_line_error(run_llmcore(*words), "space")
        left = files_in(disk)
        assert not {name for name in left if "model.safetensors" in name or ".tmp" in name}, left
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_tokenizer_that_does_not_fit_on_the_disk_leaves_nothing(text_file, tmp_path):
    out = tmp_path / "tokenizer.json"
    words = ["tokenizer", "train", text_file, "--vocab-size", "300", "--out", out]
    assert_one_line_error(run_llmcore(*words, prelude=FILE_SIZE_LIMIT.format(1000)))
    assert files_in(tmp_path) == set()


def test_a_token_id_out_of_range_is_refused(tokenizer_dir):
    done = call_llmcore("tokenizer", "decode", tokenizer_dir, "5", "99999")
    assert_one_line_error(done, "99999", str(toy.VOCAB_SIZE - 1))


@pytest.mark.parametrize("content", ["", "stage = 3", "[[[", 'stage = "bake"\n[config]\n'])
def test_a_run_record_that_is_none_is_refused(content, tmp_path):
    record = tmp_path / "run.toml"
    record.write_text(content)
    assert_one_line_error(call_llmcore("rerun", record), "run.toml")


@pytest.mark.parametrize("kind", ["data", "vocabulary", "assignment", "checkpoint", "config"])
def test_one_of_each_kind_in_a_real_process(kind, tmp_path, text_file, broken_model):
    """The process itself ends with code 2 and one line: no warning, no traceback at exit."""
    out = tmp_path / "out"
    flip_bit(broken_model / "model.safetensors", 5000)
    if kind == "config":
        (broken_model / "config.json").write_text("{}")
    words = {
        "data": ["tokenizer", "train", tmp_path / "nope.txt", "--out", out],
        "vocabulary": ["tokenizer", "train", text_file, "--vocab-size", "9", "--out", out],
        "assignment": ["pretrain", "tiny", "--set", "optim.peek_lr=1", "--out", out],
        "checkpoint": ["generate", broken_model, "hello"],
        "config": ["chat", broken_model],
    }[kind]
    assert_one_line_error(run_llmcore(*words))
    assert not out.exists()
