import dataclasses

import pytest

from crosspoint3d.config import FewShotConfig, LinearConfig, RobustnessConfig
from crosspoint3d.evaluation.published_numbers import DATASETS, dataset_of, published_numbers, published_rows
from crosspoint3d.evaluation.verbs import VERBS


def texts(
    encoder: str, dataset: str, evaluation: str, config: LinearConfig | FewShotConfig | RobustnessConfig
) -> list[str]:
    score = {"linear": "overall_accuracy", "few-shot": "accuracy"}.get(
        evaluation, "overall_accuracy@transfer=PB_T50_RS"
    )
    return [
        number.text
        for number in published_numbers()
        if number.encoder == encoder and number.belongs(dataset, evaluation, config, score)
    ]


def test_every_number_has_its_place() -> None:
    for number in published_numbers():
        assert number.dataset in DATASETS
        fields = {f.name for f in dataclasses.fields(VERBS[number.evaluation].config_class)}
        assert set(number.options) <= fields
        assert 10 < number.value < 100
        assert number.source
    assert len(published_numbers()) == 18 + 11 + 16 + 4 + 1
    assert "DGCNN, STRL" in published_rows()


def test_numbers_stand_by_their_evaluation_and_options() -> None:
    linear = LinearConfig("e", "d")
    assert texts("DGCNN, STRL", "modelnet40", "linear", linear) == ["90.9"]
    assert texts("DGCNN, STRL", "scanobjectnn:OBJ_BG", "linear", linear) == ["77.9"]
    assert texts("DGCNN, STRL", "scanobjectnn:OBJ_ONLY", "linear", linear) == []
    assert texts("DGCNN, CrossPoint, re-measured", "modelnet40", "linear", linear) == ["90.27", "89.7", "90.0"]
    few = FewShotConfig("e", "d", n_way=10, k_shot=20)
    assert texts("DGCNN, CrossPoint", "modelnet40", "few-shot", few) == ["87.9 ± 4.2"]
    assert texts("PointNet, CrossPoint", "modelnet40", "few-shot", FewShotConfig("e", "d")) == ["90.9"]
    for other in ({"n_query": 15}, {"classifier": "prototype"}, {"k_shot": 5}, {"limit": 0.5}):
        assert texts("DGCNN, CrossPoint", "modelnet40", "few-shot", dataclasses.replace(few, **other)) == []
    transfer = RobustnessConfig("e", "d", transfer=("scanobjectnn:x:PB_T50_RS",))
    assert texts("DGCNN, CrossPoint", "scanobjectnn:OBJ_BG", "robustness", transfer) == ["55.7"]


@pytest.mark.parametrize(
    ("spec", "dataset"),
    [
        ("modelnet40:some/folder", "modelnet40"),
        ("modelnet10:x", "modelnet10"),
        ("scanobjectnn:x", "scanobjectnn:OBJ_BG"),
        ("scanobjectnn:x:PB_T50_RS", "scanobjectnn:PB_T50_RS"),
        ("clouds:a.h5,b.h5", None),
        ("a/table", None),
        ("procedural:40", None),
    ],
)
def test_which_data_set_a_spec_names(spec: str, dataset: str | None) -> None:
    assert dataset_of(spec) == dataset
