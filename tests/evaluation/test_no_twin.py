"""Encoders of which only the function is known: scored like others, but without an untrained twin."""

from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d.config import FewShotConfig, LinearConfig, UsageError
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.result_files import read_result
from tests.evaluation.fakes import cluster_clouds

SPEC = f"{__name__}:extents"


def extents(points: torch.Tensor) -> torch.Tensor:
    return points.abs().mean(1)


class Weighted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return points.abs().mean(1) * self.weight


weighted = Weighted()


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(train=60, test=30))


def options(**changes: Any) -> dict[str, Any]:
    return {"encoder": SPEC, "data": "somewhere", "seeds": 2, "points": 16, "device": "cpu"} | changes


@pytest.mark.parametrize("evaluate", [linear, few_shot])
def test_it_is_scored_without_a_twin(evaluate: Any, tmp_path: Path) -> None:
    config = LinearConfig(**options(out=tmp_path))
    if evaluate is few_shot:
        config = FewShotConfig(**options(out=tmp_path, n_way=3, k_shot=5, n_query=5, episodes=2))
    result = evaluate(config)
    assert all(score["mean"] > 0.9 for score in result.scores.values()) and result.untrained == {}
    notes = result.protocol["notes"]
    assert any(note.startswith("untrained: not available for this encoder") for note in notes)
    assert any("Python callable" in note for note in notes) and result.protocol["encoder_sha256"] == [None]
    assert "not available" in str(result).splitlines()[4]
    assert str(read_result(tmp_path / "result.json")) == str(result)


def test_a_module_has_a_hash() -> None:
    result = linear(LinearConfig(**options(encoder=f"{__name__}:weighted")))
    (digest,) = result.protocol["encoder_sha256"]
    assert len(digest) == 64 and not any("Python callable" in note for note in result.protocol["notes"])


def test_k_does_not_apply() -> None:
    with pytest.raises(UsageError, match="k=5: CallableEncoder has no neighbour graph; leave k out"):
        linear(LinearConfig(**options(k=5)))
