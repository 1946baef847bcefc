"""Shape and type checks (jaxtyping with beartype) for every module but those that hold compiled kernels."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when a kernel is defined

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "crosspoint3d"


def modules() -> list[str]:
    """Every module of the package by its dotted name, packages left out."""
    files = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
    return [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in files]


def has_kernels(name: str) -> bool:
    """Whether a module compiles functions, which the hook cannot wrap."""
    source = (SOURCE.parent / (name.replace(".", "/") + ".py")).read_text()
    return "njit" in source or "import triton" in source


install_import_hook([name for name in modules() if not has_kernels(name)], "beartype.beartype")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the repository")
    return folder


@pytest.fixture(scope="session", autouse=True)
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own: the user's is neither read nor written."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSPOINT3D_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def fresh_weights_are_the_same() -> Iterator[None]:
    """Modules that a test builds draw the same weights in whatever order the tests run."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield
