from dataclasses import replace
from pathlib import Path

import pytest

from crosspoint3d.report.record import cards, config_entries, duration, subtitle, table_paths
from crosspoint3d.report.run import RunRecord
from tests.report.fake_run import FEW_SHOT, LINEAR, RETRIEVAL

RUN = RunRecord(
    path=Path("run"),
    config={"data": ["a", "b"], "k": 20, "lr": 0.01, "max_steps": None, "intra_weight": 1.0, "new": [1, 2]},
    metrics=[{"step": 40, "epoch": 3, "loss": 1.25}],
    summary={"steps": 1200, "seconds": 3725.0, "pairs_per_s": 1234.5},
    results={"linear": LINEAR, "a-linear": replace(LINEAR, scores={}), "few-shot": FEW_SHOT, "retrieval": RETRIEVAL},
    encoder={"kind": "dgcnn", "encoder": {"k": 8, "width": 0.5}},
    image_encoder={"encoder": {"name": "resnet18"}},
    problems=(),
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (8.44, "8.4 s"), (47.4, "47 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.7, "1 h 0 min"),
     (7530, "2 h 6 min")],
)  # fmt: skip
def test_durations_read_like_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_cards_hold_the_main_numbers_with_their_baselines() -> None:
    found = {card.label: card for card in cards(RUN)}
    assert list(found) == [
        "Linear accuracy", "Few-shot accuracy", "Search recall@1", "Training steps", "Training time",
    ]  # fmt: skip
    assert found["Linear accuracy"].value == "81.0 %" and found["Linear accuracy"].tone == "better"
    assert found["Few-shot accuracy"].tone == "open"
    assert "chance 8.3 % (× 5)" in found["Search recall@1"].lines
    assert found["Training steps"].value == "1,200" and found["Training steps"].lines == ["epoch 4", "last loss 1.250"]
    assert (found["Training time"].value, found["Training time"].lines) == ("1 h 2 min", ["1,234.5 pairs/s"])


def test_cards_of_a_bare_run_say_what_is_unknown() -> None:
    bare = replace(RUN, results={}, summary={}, metrics=[])
    assert [(card.label, card.value) for card in cards(bare)] == [
        ("Linear accuracy", "–"), ("Search recall@1", "–"), ("Training steps", "?"), ("Training time", "?"),
    ]  # fmt: skip


def test_config_marks_what_is_not_the_default() -> None:
    found = {entry.name: (entry.value, entry.marked) for entry in config_entries(RUN.config)}
    assert found == {
        "data": ("a, b", False), "k": ("20", False), "lr": ("0.01", True), "max_steps": ("none", False),
        "intra_weight": ("1", False), "new": ("1, 2", False),
    }  # fmt: skip


def test_the_subtitle_names_encoders_and_data() -> None:
    assert subtitle(RUN) == "DGCNN (k 8, width 0.5) · pictures by resnet18 · trained without labels on a, b"
    assert table_paths(replace(RUN, config={})) == []
