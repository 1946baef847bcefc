import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import SegmentationConfig, UsageError
from crosspoint3d.data.part_labels import PartClouds
from crosspoint3d.evaluation import segmentation as module
from crosspoint3d.evaluation.part_predictions import predict_parts, with_points
from crosspoint3d.evaluation.part_scores import part_scores
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.evaluation.segmentation import segmentation
from crosspoint3d.models import DGCNN, PointNet, Segmenter, build_segmenter, save_segmenter
from crosspoint3d.parts_table import PartsTable
from tests.evaluation.part_fakes import TABLE, ByHeight, data, small_segmenter

Use = Callable[..., list[int]]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make the verb use these shapes and, unless it is to load its own, this network; lists the seeds of the data."""

    def install(clouds: PartClouds, network: Segmenter | None = None) -> list[int]:
        seeds: list[int] = []

        def load(spec: str, *, seed: int, categories: tuple[str, ...]) -> PartClouds:
            seeds.append(seed)
            return clouds

        monkeypatch.setattr(module, "load_part_clouds", load)
        if network is not None:
            monkeypatch.setattr(module, "load_segmenter", lambda spec, k=None: network)
        return seeds

    return install


def config(**options: Any) -> SegmentationConfig:
    return SegmentationConfig(**({"model": "nowhere", "data": "some data", "device": "cpu"} | options))


def test_a_network_that_knows_scores_all_and_is_recorded_whole(use: Use) -> None:
    use(data(), ByHeight(elsewhere=9.0))
    result = segmentation(config(votes=1, seeds=3))
    assert all(score["values"] == [1.0] * 3 and score["std"] == 0 for score in result.scores.values())
    assert set(result.scores) == {"instance_miou", "class_miou", "part_accuracy", "mean_part_accuracy"}
    assert 0 < result.chance["instance_miou"] < 1 and result.untrained == {}
    record = result.protocol
    assert record["points"] == {"count": 24, "picked": "all 24 points, nothing drawn"}
    assert record["answers"] == "parts of the shape's category" and record["votes"]["count"] == 1
    assert record["split"] == {"scored": "test", "shapes": 7} and record["seeds"] == [0, 1, 2]
    assert len(record["encoder_sha256"][0]) == 64 and len(record["encoders"]) == 3
    assert record["mode"] == "clean" and record["k"] is None and record["config"]["model"] == "nowhere"
    assert "a note of the data" in record["notes"] and any("nothing" in note for note in record["notes"])
    json.dumps(record, allow_nan=False)
    text = str(result)
    assert "instance_miou" in text and "100.0 ± 0.0 %" in text and "untrained" not in text


def test_scores_are_those_of_the_predictions_of_each_seed(use: Use) -> None:
    network, clouds = small_segmenter(), data()
    use(clouds, network)
    result = segmentation(config(points=10, seeds=2, votes=3, protocol="paper", batch_size=3))
    for seed in range(2):
        split = with_points(clouds.test, 10, seed)
        answers = predict_parts(network, split, batch_size=5, device="cpu", votes=3, seed=seed, restrict=False)
        expected = part_scores(answers, split.parts, split.categories, TABLE)
        assert {name: score["values"][seed] for name, score in result.scores.items()} == pytest.approx(expected)
    assert result.protocol["answers"] == "any part" and result.scores["instance_miou"]["std"] > 0
    assert result.protocol["points"]["picked"] == "10 of 24 points, drawn at random from the seed"
    lowest = [line for line in str(result).splitlines() if line.startswith("lowest mIoU of 3")]
    assert lowest and result.details["paired"]["instance_miou"]["unit"] == "test shape"


def test_labels_of_data_in_another_order_are_mapped(use: Use) -> None:
    order = [5, 4, 3, 2, 1, 0]
    other = PartsTable(("lamp", "ball", "chair"), ((0, 3), (4,), (1, 2, 5)), tuple(TABLE.names[i] for i in order))
    clouds = data()
    swap = np.array(order, dtype=np.int16)
    for split in (clouds.train, clouds.test):
        split.parts[:] = swap[split.parts]
        split.categories[:] = 2 - split.categories
    use(PartClouds(clouds.train, clouds.val, clouds.test, other, clouds.record), ByHeight())
    assert segmentation(config()).scores["instance_miou"]["mean"] == 1.0


def test_results_lie_beside_the_run_and_hold_tables_and_examples(use: Use, tmp_path: Path) -> None:
    run = tmp_path / "run"
    network = small_segmenter()
    network.points = 16
    save_segmenter(network, run / "segmenter", {})
    (run / "encoder").mkdir()
    (run / "config.yaml").write_text("")
    use(data())
    result = segmentation(config(model=str(run)))
    folder = run / "evaluation" / "segmentation"
    files = {"result.json", "per_category.csv", "per_part.csv", "examples.npz"}
    assert {path.name for path in folder.iterdir()} == files
    assert read_result(folder / "result.json") == result
    assert result.protocol["points"]["count"] == 16, "as trained"
    segmentation(config(model=str(run), batch_size=2))
    segmentation(config(model=str(run), protocol="paper"))
    assert sorted(path.name for path in (run / "evaluation").iterdir()) == ["segmentation", "segmentation-2"]
    segmentation(config(model=str(run), split="train", out=tmp_path / "out"))
    assert read_result(tmp_path / "out" / "result.json").protocol["split"] == {"scored": "train", "shapes": 9}


def test_a_split_that_was_drawn_in_training_is_drawn_again(use: Use, tmp_path: Path) -> None:
    told = {"data": "some data", "fine_tuned": {"seed": 3}}
    save_segmenter(small_segmenter(), tmp_path / "net" / "segmenter", told)
    seeds = use(data(drawn=True))
    result = segmentation(config(model=str(tmp_path / "net"), seeds=2))
    assert seeds == [3] and module.DREW_AGAIN not in result.protocol["notes"]
    result = segmentation(config(model=str(tmp_path / "net" / "segmenter"), data="other"))
    assert seeds == [3, 0] and module.DREW_AGAIN in result.protocol["notes"]


def test_published_weights_take_names_and_2048_points_at_most(use: Use) -> None:
    generic = PartsTable(("category 0", "category 1", "category 2"), (tuple(range(6)), (), ()), tuple("abcdef"))
    network = ByHeight(table=generic)
    network.origin = {"file": "weights.pth", "k": "assumed"}
    use(data(), network)
    result = segmentation(config())
    assert result.protocol["encoders"][0]["trained"]["origin"] == network.origin
    assert result.protocol["points"]["count"] == 24 and result.scores["instance_miou"]["mean"] == 1.0
    assert any("published weights hold no names" in note for note in result.protocol["notes"])
    use(data(points=2050), small_segmenter())
    assert segmentation(config()).protocol["points"]["picked"].startswith("2048 of 2050")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "--seeds 0: must be at least 1"),
        ({"votes": 0}, "--votes 0"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"points": 25}, "--points 25: the clouds have 24"),
        ({"split": "val"}, "--split val: --data some data has no shapes"),
        ({"out": Path("/dev/null/out")}, "--out /dev/null/out"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], words: str, use: Use) -> None:
    use(data(), small_segmenter())
    with pytest.raises(UsageError, match=words):
        segmentation(config(**options))


def test_networks_that_do_not_go_with_the_data_are_refused(use: Use) -> None:
    use(data(), build_segmenter(DGCNN(k=20, emb_dims=8), TABLE, "linear", 0).eval())
    with pytest.raises(UsageError, match=r"--points 15: fewer than the k=20 neighbours .* --k 15 or less"):
        segmentation(config(points=15))
    other = PartsTable(("cup",), ((0, 1),), ("handle", "body"))
    use(data(), build_segmenter(PointNet(emb_dims=8), other, "linear", 0).eval())
    with pytest.raises(UsageError, match="the data has the category chair, the network only cup"):
        segmentation(config())
