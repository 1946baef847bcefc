from pathlib import Path

import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.models import (
    DGCNN,
    ProjectionHead,
    ResNet,
    Tower,
    load_encoder,
    load_image_encoder,
    save_tower,
    untrained,
    untrained_image,
)


def points() -> torch.Tensor:
    return torch.randn(2, 70, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_tower(Tower(DGCNN(6, 16, 0.25), ProjectionHead(32, 8, 4, bias=True)), folder / "encoder", {})
    save_tower(Tower(ResNet("resnet18"), ProjectionHead(512, 8, 4, bias=False)), folder / "image_encoder", {})
    return folder


def test_a_run_folder_and_its_encoder_folder_are_the_same(run: Path) -> None:
    one, two = load_encoder(run), load_encoder(str(run / "encoder"))
    assert torch.equal(one(points()), two(points())) and not one.training
    assert one.project(one(points())).shape == (2, 4)
    assert load_encoder(run, k=9).k == 9 and one.k == 6


def test_image_encoder(run: Path) -> None:
    encoder = load_image_encoder(run)
    features = encoder(torch.zeros(1, 3, 32, 32))
    assert features.shape == (1, 512) and encoder.project(features).shape == (1, 4)
    assert torch.equal(features, load_image_encoder(run / "image_encoder")(torch.zeros(1, 3, 32, 32)))


@pytest.mark.parametrize(
    ("spec", "width"),
    [("random:dgcnn", 2048), ("random:pointnet", 1024), ("random:dgcnn-partseg", 1024), ("random:transformer", 768)],
)
def test_random_encoders_by_seed(spec: str, width: int) -> None:
    state = torch.get_rng_state()
    one, two, other = load_encoder(spec), load_encoder(spec, seed=0), load_encoder(spec, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    features = one(points())
    assert features.shape == (2, width) and one.project(features).shape == (2, 256)
    assert torch.equal(features, two(points())) and not torch.equal(features, other(points()))


def test_untrained_has_the_architecture_and_fresh_weights(run: Path) -> None:
    trained, one, two, other = load_encoder(run), untrained(run, 0), untrained(run, 0), untrained(run, 1)
    assert one.config() == trained.config() and not one.training
    assert torch.equal(one(points()), two(points()))
    assert not torch.equal(one(points()), other(points())) and not torch.equal(one(points()), trained(points()))
    assert untrained(run, 0, k=3).k == 3
    assert torch.equal(untrained("random:dgcnn", 4)(points()), load_encoder("random:dgcnn", seed=4)(points()))
    assert untrained_image(run, 0).config() == load_image_encoder(run).config()


def test_specs_that_name_nothing(run: Path, tmp_path: Path) -> None:
    forms = "a run folder, an encoder folder, .* random:dgcnn, random:pointnet, .* or random:transformer"
    with pytest.raises(UsageError, match=rf"nowhere: no such folder; use {forms}"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=rf"neither encoder/ nor config\.json.*{forms}"):
        load_encoder(tmp_path)
    with pytest.raises(UsageError, match=r"best\.pth: No such file"):
        load_encoder("best.pth")
    with pytest.raises(UsageError, match="known are random:dgcnn, random:pointnet, random:dgcnn-partseg"):
        load_encoder("random:vit")
    with pytest.raises(UsageError, match="it encodes pictures, but an encoder of clouds is needed"):
        load_encoder(run / "image_encoder")
    with pytest.raises(UsageError, match="it encodes clouds, but an encoder of pictures is needed"):
        load_image_encoder(run / "encoder")
    with pytest.raises(UsageError, match="no neighbour graph"):
        load_encoder("random:pointnet", k=5)
