"""The house rules that no single file can show: who may import whom, and what the command line may load."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import SOURCE, modules

# A module may import from its own level and from those below; the first match of a dotted prefix counts.
LEVELS = [
    {"address", "compiled", "config", "config_file", "flags", "runtime"},
    {"geometry", "part_colours", "parts_table"},
    {"transforms", "ops"},
    {"models", "losses", "data"},
    {"evaluation", "labelling", "search", "export", "plots", "plots_evaluation", "report", "training"},
    {"cli", "demo", "web", "__main__"},
]


def level(name: str) -> int:
    return next(i for i, names in enumerate(LEVELS) if name in names)


def imported(path: str) -> set[str]:
    tree = ast.parse((SOURCE.parent / (path.replace(".", "/") + ".py")).read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_every_module_imports_from_its_level_or_below() -> None:
    wrong = []
    for module in modules():
        own = module.split(".")[1]
        for name in imported(module):
            parts = name.split(".")
            if parts[0] != "crosspoint3d" or len(parts) < 2 or parts[1].startswith("__"):
                continue
            if level(parts[1]) > level(own):
                wrong.append(f"{module} imports {name}")
    assert not wrong


def test_evaluation_never_imports_training() -> None:
    wrong = [
        m
        for m in modules()
        if m.startswith("crosspoint3d.evaluation")
        and any(name.startswith("crosspoint3d.training") for name in imported(m))
    ]
    assert not wrong


def test_only_cli_imports_the_command_line_library() -> None:
    assert [m for m in modules() if any(name.split(".")[0] == "tyro" for name in imported(m))] == ["crosspoint3d.cli"]


def test_data_reads_without_torch() -> None:
    users = [
        m
        for m in modules()
        if m.startswith("crosspoint3d.data") and any(name.split(".")[0] == "torch" for name in imported(m))
    ]
    assert users == ["crosspoint3d.data.pairs"]


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"], ["evaluate", "linear", "--help"]])
def test_help_imports_neither_torch_nor_the_data_stack(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom crosspoint3d import cli\n"
        f"try:\n    cli.run({arguments!r})\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'numba', 'lance', 'trimesh', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "crosspoint3d" in done.stdout


def test_networks_run_without_the_packages_that_read_shapes() -> None:
    readers = ["lance", "pyarrow", "trimesh", "h5py"]
    code = f"import sys, crosspoint3d.models; print([name for name in {readers} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
