from pathlib import Path

import pytest
import yaml

from crosspoint3d.config import BenchmarkConfig, FewShotConfig, LabelFractionConfig, RetrievalConfig, UsageError
from crosspoint3d.evaluation.benchmark.plan import Plan, read_plan
from tests.conftest import ROOT
from tests.evaluation.benchmark.fakes import write_file

ENCODERS = "encoders:\n  - {name: A, encoder: 'random:pointnet'}\n  - {name: B, encoder: 'random:dgcnn', k: 8}\n"
EVALUATIONS = "evaluations: [linear]\n"
HEAD = "data: procedural:60\n"


def plan_of(folder: Path, text: str, **flags: object) -> Plan:
    return read_plan(BenchmarkConfig(write_file(folder / "b.yaml", text), folder / "out", **flags))  # type: ignore[arg-type]


def test_options_come_from_flag_evaluation_encoder_and_file_in_this_order(tmp_path: Path) -> None:
    text = (
        "data: procedural:60\nprotocols: [clean, paper]\nseeds: 3\npoints: 64\nbatch_size: 4\n"
        "encoders:\n  - {name: A, encoder: 'random:dgcnn', k: 8, batch_size: 2}\n"
        "evaluations:\n  - linear\n  - few-shot: {k_shot: 2, k: 5, seeds: 1, protocols: paper, data: 'procedural:70'}\n"
        "  - label-fraction: {fractions: [0.1, 1]}\n"
    )
    plan = plan_of(tmp_path, text, device="cpu")
    linear, few, fractions = plan.evaluations
    assert [e.protocols for e in plan.evaluations] == [("clean", "paper"), ("paper",), ("clean", "paper")]
    assert few.label == "few-shot 5-way 2-shot, seeds=1, k=5, data=procedural:70"
    made = plan.config(plan.encoders[0], linear, "clean", None)
    assert (made.k, made.seeds, made.batch_size, made.points, made.device) == (8, 3, 2, 64, "cpu")
    assert (made.untrained, made.protocol, made.data) == (False, "clean", "procedural:60")
    other = plan.config(plan.encoders[0], few, "paper", tmp_path)
    assert isinstance(other, FewShotConfig)
    assert (other.k, other.k_shot, other.seeds, other.data, other.out) == (5, 2, 1, "procedural:70", tmp_path)
    third = plan.config(plan.encoders[0], fractions, "clean", None)
    assert isinstance(third, LabelFractionConfig)
    assert third.fractions == (0.1, 1.0)
    flagged = plan_of(tmp_path, text, batch_size=16)
    assert flagged.config(flagged.encoders[0], linear, "clean", None).batch_size == 16


def test_search_by_pictures_is_for_encoders_that_have_them(tmp_path: Path) -> None:
    for part in ("encoder", "image_encoder"):
        (tmp_path / "run" / part).mkdir(parents=True)
    text = f"{HEAD}encoders:\n  - {{name: A, encoder: '{tmp_path}/run'}}\n  - {{name: B, encoder: 'random:dgcnn'}}\n"
    plan = plan_of(tmp_path, text + "evaluations: [retrieval]\n")
    configs = [plan.config(encoder, plan.evaluations[0], "clean", None) for encoder in plan.encoders]
    assert [config.search for config in configs if isinstance(config, RetrievalConfig)] == ["all", "shapes"]


def test_the_published_data_set_is_known_by_the_data_or_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name in ("a.h5", "b.h5"):
        (tmp_path / name).touch()
    clouds = f"data: 'clouds:{tmp_path}/a.h5,{tmp_path}/b.h5'\n"
    rest = f"{ENCODERS}evaluations: [linear, {{knn: {{data: 'modelnet40:{tmp_path}/m'}}}}, "
    rest += "{cluster: {data: 'procedural:9'}}]\n"
    assert [e.dataset for e in plan_of(tmp_path, clouds + rest).evaluations] == [None, "modelnet40", None]
    named = plan_of(tmp_path, clouds + "dataset: modelnet40\n" + rest)
    assert [e.dataset for e in named.evaluations] == ["modelnet40", "modelnet40", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + ENCODERS, "evaluations is missing"),
        (HEAD + EVALUATIONS, "encoders is missing"),
        (ENCODERS + EVALUATIONS, "entry 1 (linear): data is missing"),
        (HEAD + ENCODERS + EVALUATIONS + "seed: 3\n", "unknown key 'seed'; did you mean 'seeds'"),
        (HEAD + ENCODERS + EVALUATIONS + "seeds: three\n", "seeds: expected a whole number, got 'three'"),
        (HEAD + ENCODERS + EVALUATIONS + "seeds: true\n", "seeds: expected a whole number, got True"),
        (HEAD + ENCODERS + EVALUATIONS + "seeds: 0\n", "seeds: 0; must be at least 1"),
        (HEAD + ENCODERS + EVALUATIONS + "data: procedural:9\n", "data stands twice"),
        (HEAD + ENCODERS + EVALUATIONS + "protocols: [cleen]\n", "'cleen'; did you mean 'clean'"),
        (HEAD + ENCODERS + EVALUATIONS + "protocols: [clean, clean]\n", "'clean' stands twice"),
        (HEAD + ENCODERS + EVALUATIONS + "dataset: modelnet\n", "did you mean 'modelnet40'"),
        ("data: nowhere\n" + ENCODERS + EVALUATIONS, "data: 'nowhere' does not exist"),
        ("data: modelnet40:nowhere\n" + ENCODERS + EVALUATIONS, "data: 'nowhere' does not exist"),
        ("data: [a]\n" + ENCODERS + EVALUATIONS, "data: expected text, got ['a']"),
        (HEAD + ENCODERS + "evaluations: [liner]\n", "entry 1: no evaluation 'liner'; did you mean 'linear'"),
        (HEAD + ENCODERS + "evaluations: []\n", "evaluations: expected a list"),
        (HEAD + ENCODERS + "evaluations: [linear, linear]\n", "evaluations: 'linear' stands twice"),
        (HEAD + ENCODERS + "evaluations: [{linear: {}, knn: {}}]\n", "expected the name of one evaluation"),
        (
            HEAD + ENCODERS + "evaluations: [{few-shot: {kshot: 5}}]\n",
            "(few-shot): unknown key 'kshot'; did you mean 'k_shot'",
        ),
        (HEAD + ENCODERS + "evaluations: [{few-shot: {k_shot: 2.5}}]\n", "(few-shot), k_shot: expected a whole number"),
        (HEAD + ENCODERS + "evaluations: [{few-shot: {classifier: smv}}]\n", "classifier: 'smv'; did you mean 'svm'"),
        (HEAD + ENCODERS + "evaluations: [{linear: {out: x}}]\n", "unknown key 'out'"),
        (HEAD + ENCODERS + "evaluations: [{linear: {data: nowhere}}]\n", "(linear), data: 'nowhere' does not exist"),
        (HEAD + ENCODERS + "evaluations: [{linear: {encoders: [C]}}]\n", "encoders: 'C'; known: A, B"),
        (
            HEAD + ENCODERS + "evaluations: [{robustness: {transfer: ['scanobjectnn:no']}}]\n",
            "transfer: 'no' does not exist",
        ),
        (HEAD + "encoders: [{name: A}]\n" + EVALUATIONS, "encoders, entry 1: encoder is missing"),
        (HEAD + "encoders: [{name: ' ', encoder: x}]\n" + EVALUATIONS, "name: it is empty"),
        (
            HEAD + "encoders: [{name: A, encoder: x.pth}]\n" + EVALUATIONS,
            "entry 1 (A), encoder: 'x.pth' does not exist",
        ),
        (HEAD + "encoders: [{name: A, encoder: 'onnx:x'}]\n" + EVALUATIONS, "entry 1 (A), encoder: 'x' does not exist"),
        (HEAD + "encoders: [{name: A, encoder: 'random:dgcn'}]\n" + EVALUATIONS, "did you mean 'random:dgcnn'"),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', k: 2, seeds: 1}]\n" + EVALUATIONS,
            "unknown key 'seeds'",
        ),
        (
            HEAD + ENCODERS + "  - {name: A, encoder: 'random:dgcnn'}\n" + EVALUATIONS,
            "encoders: 'A' stands twice",
        ),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', published: 'DGCNN, STLR'}]\n" + EVALUATIONS,
            "published: 'DGCNN, STLR'; did you mean 'DGCNN, STRL'",
        ),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', published: {liner: 9}}]\n" + EVALUATIONS,
            "'liner' is no evaluation of this file; did you mean 'linear'",
        ),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', published: {linear: high}}]\n" + EVALUATIONS,
            "published, linear: expected a number, got 'high'",
        ),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', published: {linear: 0.909}}]\n" + EVALUATIONS,
            "published, linear: 0.909 looks like a share; give per cent (90.9)",
        ),
        (
            HEAD + "encoders: [{name: A, encoder: 'random:dgcnn', published: {linear: .nan}}]\n" + EVALUATIONS,
            "published, linear: expected a finite number, got nan",
        ),
        ("- a\n- b\n", "expected `name: value` lines"),
        ("a: [\n", "is not YAML"),
        ("", "expected `name: value` lines"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        plan_of(tmp_path, text)
    assert message in str(error.value)
    assert str(tmp_path / "b.yaml") in str(error.value)


def test_a_data_set_by_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(UsageError, match="but the data is modelnet10"):
        plan_of(tmp_path, f"data: modelnet10:{tmp_path}/m\ndataset: modelnet40\n" + ENCODERS + EVALUATIONS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: No such file"):
        read_plan(BenchmarkConfig(tmp_path / "none.yaml", tmp_path))


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run folder nor an encoder's"):
        plan_of(tmp_path, HEAD + f"encoders: [{{name: A, encoder: '{tmp_path}'}}]\n" + EVALUATIONS)


def test_the_example_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = ROOT / "examples" / "benchmark.yaml"
    values = yaml.safe_load(example.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    Path(values["data"].partition(":")[2]).mkdir(parents=True)
    for encoder in values["encoders"]:
        path = Path(encoder["encoder"])
        if path.suffix == ".pth":
            path.parent.mkdir()
            path.touch()
        elif ":" not in str(path):
            (path / "encoder").mkdir(parents=True)
    plan = read_plan(BenchmarkConfig(example, tmp_path / "out"))
    assert len(plan.encoders) == 4
    assert {evaluation.dataset for evaluation in plan.evaluations} == {"modelnet40"}
    assert len({evaluation.label for evaluation in plan.evaluations}) == len(plan.evaluations) == 11
    for encoder in plan.encoders:
        for evaluation in plan.evaluations:
            assert plan.config(encoder, evaluation, "clean", None).points == 1024
