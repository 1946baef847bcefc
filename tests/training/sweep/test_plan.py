"""What a sweep file may say: every mistake is found before anything runs, with its place."""

from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.config import RECIPES, SweepConfig, UsageError
from crosspoint3d.training.sweep.plan import Plan, read_plan
from tests.training.sweep.tiny import BASE, write_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


def plan(folder: Path, **changes: Any) -> Plan:
    return read_plan(SweepConfig(write_sweep(folder, **changes), folder / "out"))


def base(folder: Path, **changes: Any) -> dict[str, Any]:
    return BASE | {"data": str(folder / "table")} | changes


def test_runs_by_grid_in_the_order_of_the_file(folder: Path) -> None:
    runs = [{"name": "both", "cross_weight": 1}, {"name": "IMID only"}]
    found = plan(folder, runs=runs, grid={"k": [5, 4], "points": [16]}, seeds=[3, 1], baseline="both, k=4")
    assert [s.name for s in found.settings] == ["both, k=5", "both, k=4", "IMID only, k=5", "IMID only, k=4"]
    assert [s.config.k for s in found.settings] == [5, 4, 5, 4]
    assert [s.config.cross_weight for s in found.settings] == [1.0, 1.0, 0.0, 0.0]
    assert found.settings[2].varied == {"run": "IMID only", "k": "5"}, "an option of one value tells nothing apart"
    assert (found.seeds, found.baseline.name) == ((3, 1), "both, k=4")
    assert found.evaluations[0].config.data == str(folder / "table"), "the table of the runs, when they share one"
    assert found.evaluations[0].config.seeds == 1 and not found.evaluations[0].config.untrained


def test_a_recipe_goes_below_what_the_file_says(folder: Path) -> None:
    found = plan(folder, grid={"recipe": ["default", "paper"]}).settings
    assert [s.config.weight_decay for s in found] == [1e-4, RECIPES["paper"]["weight_decay"]]
    assert [s.config.k for s in found] == [4, 4]


def test_the_key_is_of_what_decides_the_weights(folder: Path) -> None:
    def key(**changes: Any) -> str:
        return plan(folder, base=base(folder, **changes), grid=None).settings[0].key

    assert key() == key(threads=2, workers=1, log_every=7, device="auto") == key(temperature=0.1)
    assert len({key(), key(k=6), key(lr=2e-3), key(recipe="paper")}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gird": {}}, "unknown key 'gird'; did you mean 'grid'"),
        ({"grid": {"kk": [1]}}, "grid: unknown key 'kk'; did you mean 'k'"),
        ({"grid": {"k": 4}}, "grid, k: expected a list"),
        ({"grid": {"k": [4, "five"]}}, "grid, k: expected a whole number, got 'five'"),
        ({"grid": {"k": [4, 4]}}, "grid, k: '4' stands twice"),
        ({"grid": {"k": [4, 0]}}, "k=0: --k 0: must be at least 1"),
        ({"grid": {"k": [4, 17]}}, "k=17: --k 17 is more than --points 16"),
        ({"grid": {"batch_size": [4, 400]}}, "batch_size=400: --batch-size 400 is more than the 16 shapes"),
        ({"grid": {"image_encoder": ["resnet18", "resnet19"]}}, "image_encoder=resnet19: .*resnet19"),
        ({"grid": {"encoder": ["pointnet", "dgcn"]}}, "grid, encoder: 'dgcn'; did you mean 'dgcnn'"),
        ({"grid": {"data": ["nowhere"]}, "data": "procedural:40"}, "nowhere"),
        ({"grid": {"seed": [1, 2]}}, "grid: unknown key 'seed'"),
        ({"base": {"k": 4}}, "data is missing"),
        ({"base": None}, "base is missing"),
        ({"seeds": 0}, "seeds: 0; give how many"),
        ({"seeds": [1, 1]}, "seeds: '1' stands twice"),
        ({"runs": [{"k": 3}], "grid": None}, "runs, entry 1: name is missing"),
        ({"runs": [{"name": "a"}, {"name": "a"}]}, "runs, entry 2, name: 'a' is there already"),
        ({"runs": [{"name": "a", "k": 3}]}, "k stands under grid, too"),
        ({"runs": [{"name": "a"}, {"name": "b", "temperature": 0.1}]}, "'a, k=4' and 'b, k=4' are the same setting"),
        ({"evaluate": ["liner"]}, "evaluate, entry 1: no evaluation 'liner'; did you mean 'linear'"),
        ({"evaluate": ["linear", "linear"]}, "'linear' stands twice"),
        ({"evaluate": [{"knn": {"neighbors": 3}}]}, "did you mean 'neighbours'"),
        ({"evaluate": [{"knn": {"seeds": 0}}]}, r"entry 1 \(knn\): --seeds 0: must be at least 1"),
        ({"evaluate": [{"knn": {"data": "nowhere"}}]}, "'nowhere' does not exist"),
        ({"evaluate": None}, "evaluate is missing"),
        ({"baseline": "k=6"}, "baseline: no row 'k=6'; did you mean 'k="),
    ],
)
def test_mistakes_are_named_with_their_place(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        plan(folder, **changes)
    assert str(folder / "sweep.yaml") in str(error.value)
