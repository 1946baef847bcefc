"""What the README promises: its commands parse and its links lead somewhere (its Python is run in test_demo.py)."""

import re
import shlex

from crosspoint3d import cli
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_parse() -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S))
    lines = [line for line in blocks.splitlines() if line.startswith("crosspoint3d ")]
    assert len(lines) >= 5
    for line in lines:
        name, rest = cli._split(shlex.split(line, comments=True)[1:])
        cli.parse(name, rest)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([\w-]+)", README, re.M)
    assert {"demo", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_links_resolve() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
