import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from crosspoint3d.config import UsageError
from crosspoint3d.models import Classifier, Segmenter, load_classifier, load_segmenter
from crosspoint3d.models.published_keys import layout_of
from crosspoint3d.models.tower import seeded_weights
from tests.models.published_networks import (
    PublishedDGCNN,
    PublishedPartSeg,
    clouds,
    on_the_graphs_of,
    saved,
    trained,
)

K = 8


def classification(**arguments: Any) -> PublishedDGCNN:
    with seeded_weights(0):
        return trained(PublishedDGCNN(K, **{"classes": 40} | arguments))


def part_segmentation(**arguments: Any) -> PublishedPartSeg:
    with seeded_weights(0):
        return trained(PublishedPartSeg(K, **arguments))


@pytest.mark.parametrize(("classes", "with_head"), [(40, False), (15, True), (7, False)])
def test_class_logits_are_the_published_networks(
    classes: int, with_head: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, points = classification(classes=classes, with_head=with_head), clouds(6, 60)
    path = saved({"model": published.state_dict()}, tmp_path / "w.t7")
    with pytest.warns(UserWarning, match=f"k={15 if with_head else 20} is assumed"):
        load_classifier(path)
    classifier = load_classifier(path, k=K)
    classifier.head.dropout = 0.0
    exact = copy.deepcopy(published).double()
    for dropout in (exact.dp1, exact.dp2):
        dropout.p = 0.0
    for training in (False, True):
        exact.graphs.clear()
        expected = exact.train(training).logits(points.double().transpose(1, 2))
        on_the_graphs_of(exact, monkeypatch)
        logits = classifier.train(training)(points)
        assert logits.shape == (6, classes) and (logits - expected).abs().max() < 2e-5 * expected.abs().max()
    assert classifier.origin is not None and classifier.temperature == 1 and classifier.points is None
    assert {name.split(".")[0] for name in classifier.origin["keys_not_needed"]} == (
        {"inv_head"} if with_head else set()
    )
    assert classifier.categories[4] == {40: "bookshelf", 15: "chair", 7: "category 4"}[classes]


def test_networks_are_not_confused(tmp_path: Path) -> None:
    weights = saved(part_segmentation(with_head=True).state_dict(), tmp_path / "parts.pth")
    trunk = saved(classification(classes=0).state_dict(), tmp_path / "trunk.pth")
    pretrained = saved(part_segmentation(parts=0, with_head=True).state_dict(), tmp_path / "pretrained.pth")
    parts, classes = r"without a part segmentation head \(conv7 to conv11\)", r"without a classification head \(linear1"
    for load, path, message in (
        (load_segmenter, trunk, f"DGCNN classification trunk, {parts}"),
        (load_segmenter, pretrained, f"DGCNN part segmentation network, {parts}; load_encoder takes it"),
        (load_classifier, trunk, f"DGCNN classification trunk, {classes}"),
        (load_classifier, weights, f"DGCNN part segmentation network, {classes}"),
    ):
        with pytest.raises(UsageError, match=message):
            load(path, k=K)
    other = saved(nn.Linear(3, 4).state_dict(), tmp_path / "other.pth")
    for load in (load_segmenter, load_classifier):
        with pytest.raises(UsageError, match="another network"):
            load(other)


def test_no_generator_moves(tmp_path: Path) -> None:
    weights = saved(part_segmentation().state_dict(), tmp_path / "parts.pth")
    path = saved(classification().state_dict(), tmp_path / "w.pth")
    state = torch.get_rng_state()
    assert isinstance(load_segmenter(weights, k=K), Segmenter) and isinstance(load_classifier(path, k=K), Classifier)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_head_key_is_known() -> None:
    """Names are made by rule on our side: none is forgotten, none made up."""
    for network in (part_segmentation(), classification()):
        names = network.state_dict().keys()
        layout = layout_of(names)
        assert layout is not None
        assert layout.required(names, labels=True) == frozenset(names)
        assert set(itertools.chain(layout.keys, layout.labels, layout.twins)) == set(names)
