"""`llmcore pretrain | sft | dpo` as one path: each stage starts from what the one before left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from llmcore.cli.app import run
from llmcore.cli.stages import report
from llmcore.training import StageResult
from tests.support import toy
from tests.support.command import run_llmcore


def words(command: str, out: Path, *assignments: str) -> list[str]:
    sizes = [*toy.TRAIN_ASSIGNMENTS, *(toy.MODEL_ASSIGNMENTS if command == "pretrain" else [])]
    return [command, "tiny", *toy.set_words([*sizes, *assignments]), "--out", str(out)]


def test_the_three_stages_in_order(tmp_path, tokenizer_dir, capsys):
    documents = toy.write_documents(tmp_path / "documents")
    chats = toy.write_chats(tmp_path / "chats.jsonl")
    pairs = toy.write_preferences(tmp_path / "pairs.jsonl")
    stages = {
        "pretrain": (f"tokenizer={tokenizer_dir}", f"data={documents}"),
        "sft": (f"init_from={tmp_path / 'pretrain'}", f"train_data={chats}"),
        "dpo": (f"init_from={tmp_path / 'sft'}", f"train_data={pairs}"),
    }
    for command, assignments in stages.items():
        assert run([*words(command, tmp_path / command, *assignments), "--quiet"]) == 0
        left = {path.name for path in (tmp_path / command).iterdir()}
        assert left >= {"run.toml", "metrics.jsonl", "config.json", "model.safetensors"}
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ("", "")
    assert run(["generate", str(tmp_path / "dpo"), "Say 3.", "--as-chat"]) == 0


def test_a_second_call_finds_the_work_done(tmp_path, tokenizer_dir):
    documents = toy.write_documents(tmp_path / "documents")
    inputs = (f"tokenizer={tokenizer_dir}", f"data={documents}")
    argv = words("pretrain", tmp_path / "out", *inputs)
    assert run([*argv, "--quiet"]) == 0
    rows = (tmp_path / "out" / "metrics.jsonl").read_bytes()
    assert run([*argv, "--quiet"]) == 0
    assert (tmp_path / "out" / "metrics.jsonl").read_bytes() == rows


def test_the_report_names_folder_steps_and_rate(capsys):
    result = StageResult(
        model_dir=Path("runs/x"),
        metrics_path=Path("runs/x/metrics.jsonl"),
        final_loss=1.25,
        steps=10,
        tokens=2000,
        seconds=4.0,
    )
    report(result, quiet=False)
    assert capsys.readouterr().out == (
        "runs/x: 10 steps, 2000 tokens, 500 tokens/s, final loss 1.2500\n"
    )
    report(result, quiet=True)
    assert capsys.readouterr().out == ""


def test_ctrl_c_saves_says_how_to_resume_and_the_resume_finishes(tmp_path, tokenizer_dir):
    documents = toy.write_documents(tmp_path / "documents")
    inputs = (f"tokenizer={tokenizer_dir}", f"data={documents}", "train.num_steps=100000")
    argv = words("pretrain", tmp_path / "out", *inputs)
    code = "from llmcore.cli import main; main()"
    metrics = tmp_path / "out" / "metrics.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv, "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        deadline = time.monotonic() + 60
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert printed.count("\n") == 1 and "resume with: llmcore pretrain tiny" in printed
    done = len(metrics.read_text().splitlines())
    finished = run_llmcore(*argv[:-2], "--set", f"train.num_steps={done}", *argv[-2:])
    # Another number of steps is another run: the checkpoint is refused, not trained over.
    assert finished.returncode == 2 and "num_steps" in finished.stderr
