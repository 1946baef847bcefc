import json
from pathlib import Path

import pytest
import torch

from crosspoint3d import cli
from crosspoint3d.models import load_encoder, load_image_encoder, untrained
from crosspoint3d.models.tower import seeded_weights
from tests.models.published_networks import PublishedDGCNN, PublishedImageBranch, PublishedPartSeg, clouds, trained


def weights(path: Path, network: torch.nn.Module) -> Path:
    torch.save({"state_dict": trained(network).state_dict(), "epoch": 100}, path)
    return path


@pytest.mark.parametrize("build", [PublishedDGCNN, PublishedPartSeg])
def test_the_folder_loads_back_to_equal_features(
    build: type, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = weights(tmp_path / "best.pth", build(9, with_head=True)), tmp_path / "encoder"
    assert cli.run(["convert", str(path), str(folder), "--k", "9"]) == 0
    printed = capsys.readouterr().out
    assert str(folder) in printed and "k=9" in printed and "with projection head" in printed and "epoch" in printed
    direct, kept, points = load_encoder(path, k=9), load_encoder(folder), clouds(3, 60)
    assert torch.equal(direct(points), kept(points)) and kept.config() == direct.config()
    assert torch.equal(direct.project(direct(points)), kept.project(kept(points)))
    config = json.loads((folder / "config.json").read_text())
    assert config["encoder"]["k"] == 9 and config["origin"] == direct.origin
    assert config["origin"]["file"] == "best.pth" and config["origin"]["k"] == "given"
    assert untrained(folder, 0).config() == kept.config()
    card = (folder / "README.md").read_text()
    assert "best.pth" in card and config["origin"]["sha256"] in card and "not trained by it" in card


def test_without_k_the_folder_says_that_it_is_assumed(tmp_path: Path) -> None:
    path = weights(tmp_path / "w.t7", PublishedDGCNN(9))
    with pytest.warns(UserWarning, match=r"k=20 is assumed.*--k"):
        assert cli.run(["convert", str(path), str(tmp_path / "encoder")]) == 0
    config = json.loads((tmp_path / "encoder" / "config.json").read_text())
    assert config["encoder"]["k"] == 20 and config["origin"]["k"] == "assumed" and config["head"] is None


def test_an_image_branch_becomes_an_image_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with seeded_weights(0):
        path = weights(tmp_path / "img.pth", PublishedImageBranch())
    assert cli.run(["convert", str(path), str(tmp_path / "no"), "--k", "5"]) == 2
    assert "no neighbour graph" in capsys.readouterr().err and not (tmp_path / "no").exists()
    assert cli.run(["convert", str(path), str(tmp_path / "image_encoder")]) == 0
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(load_image_encoder(tmp_path / "image_encoder")(images), load_image_encoder(path)(images))


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, folder = weights(tmp_path / "w.pth", PublishedDGCNN(9)), tmp_path / "encoder"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    assert cli.run(["convert", str(path), str(folder), "--k", "9"]) == 2
    assert "already holds README.md" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["README.md"]
    for text, message in (("no.pth", "No such file"), (str(tmp_path), "Is a directory")):
        assert cli.run(["convert", text, str(tmp_path / "new")]) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "new").exists()
