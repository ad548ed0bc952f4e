"""What every test shares: annotations enforced at call time, one Torch thread, toy data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import install_import_hook

from tests.support import toy

REPO_ROOT = Path(__file__).resolve().parent.parent

# The hook must stand before the first import of the package: beartype then checks every
# annotation of every llmcore function that a test calls, shapes included.
install_import_hook("llmcore", "beartype.beartype")


# The same examples in every run: what fails is then the change, not the draw. Other examples are
# looked for with --hypothesis-profile=search.
hypothesis.settings.register_profile("fixed", derandomize=True)
hypothesis.settings.register_profile("search", derandomize=False)
hypothesis.settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=("reference", "torch", "native"),
        help="force one backend of llmcore.ops in every test and every process that tests start",
    )
    parser.addoption(
        "--differential-megabytes",
        default="0.5",
        help="text per vocabulary in the comparison of tokenizers with their own libraries",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The variable reaches the commands and workers that tests start; llmcore is not yet there."""
    backend = config.getoption("--backend")
    if backend:
        os.environ["LLMCORE_BACKEND"] = backend


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Toy models gain nothing from a second thread, and spin for minutes on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> None:
    """A shell starts what it puts in the background with Ctrl-C ignored; many tests send one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Root of the checkout."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Folder of the shared fixtures (corpora, tokenizer files); a test that needs one may skip."""
    folder = Path(os.environ.get("LLMCORE_FIXTURES", REPO_ROOT.parent / "shared" / "fixtures"))
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}; set LLMCORE_FIXTURES to their folder")
    return folder


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with something to learn."""
    path = tmp_path_factory.mktemp("toy-text") / "text.txt"
    path.write_text(toy.TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a toy tokenizer with the three chat tokens. Read only."""
    return toy.write_tokenizer(tmp_path_factory.mktemp("toy-tokenizer"))


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, tokenizer_dir: Path) -> Path:
    """Folder of an untrained toy chat model in the Hugging Face layout. Read only."""
    return toy.write_model(tmp_path_factory.mktemp("toy-model") / "model", tokenizer_dir)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is no GPU (or, for `sm90`, no Hopper one), and tests of native
    kernels where `--backend` forces others, saying so."""
    import torch

    has_gpu = torch.cuda.is_available()
    has_hopper = has_gpu and torch.cuda.get_device_capability() >= (9, 0)
    backend = config.getoption("--backend")
    for item in items:
        if backend not in (None, "native") and item.get_closest_marker("native"):
            reason = f"about the native kernels, and --backend forces {backend}"
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("sm90") and not has_hopper:
            item.add_marker(pytest.mark.skip(reason="needs a Hopper GPU (compute capability 9.0)"))
        elif item.get_closest_marker("gpu") and not has_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(scope="session")
def num_draws(pytestconfig: pytest.Config) -> int:
    """Tokens to draw for a chi-square test: the reference takes about a millisecond for each."""
    return 2_000 if pytestconfig.getoption("--backend") == "reference" else 200_000
