import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import ReportConfig, UsageError
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.report import report
from tests.report.fake_finetuned import TABLE, labelled_shapes, write_classify_run, write_segment_run
from tests.report.fake_run import LINEAR, write_results
from tests.report.test_write import Page

SECTIONS = ["results", "categories", "shapes", "training", "record"]


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segment_run(tmp_path_factory.mktemp("report") / "my run")


@pytest.fixture(scope="module")
def classify(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classify_run(tmp_path_factory.mktemp("report") / "run")


def made(run: Path, out: Path) -> tuple[str, Page, tuple[str, ...]]:
    result = report(ReportConfig(run, out=out))
    html = out.read_text(encoding="utf-8")
    return html, Page(html), result.missing


def test_a_segmentation_run_has_all_its_sections(segment: Path, tmp_path: Path) -> None:
    html, page, missing = made(segment, tmp_path / "page.html")
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert missing == () and 'class="missing"' not in html
    scores = read_result(segment / "result.json").scores
    main = f"{100 * scores['instance_miou']['mean']:.1f} % ± {100 * scores['instance_miou']['ci95']:.1f}"
    for words in (
        "Part segmentation: 7 parts of 3 categories · DGCNN (k 20) · encoder and head trained from a pre-trained run",
        f"Instance mIoU {main} mean of 3 seeds chance 21.0 %",
        "a part neither there nor named counts 1",
        "Labels used 10 % 24 of 228 train shapes drawn anew for every seed",
        "kept epochs 12, 13, 14 of 20 best on validation shapes",
        "Clean protocol · some data · 228 train shapes · 38 val shapes",
        "a note to read",
        "8 shapes ·",
        "IoU of each of the 7 parts",
        "Worst",
        "1 weight taken from the encoder",
        "2 weights newly initialised",
        "head.weight",
        "torch 2.9.9",
    ):
        assert words in page.text, words
    assert page.tags["img"] == 18 * 3 and page.text.count("prediction") >= 18
    assert set(page.json("data-charts")) == {"training-loss", "training-validation"} <= set(page.ids)


def test_a_classification_run_has_all_its_sections(classify: Path, tmp_path: Path) -> None:
    html, page, missing = made(classify, tmp_path / "page.html")
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert missing == () and 'class="missing"' not in html
    assert set(page.json("data-charts")) == {
        "training-loss", "training-validation", "classes-confusion", "reliability",
    }  # fmt: skip
    ece = read_result(classify / "result.json").details["calibration"]
    for words in (
        "Classification into 8 categories",
        "Calibration error",
        f"Expected calibration error {100 * ece['after']['ece']:.1f} % at the fitted temperature, "
        f"{100 * ece['before']['ece']:.1f} % as trained",
        "What is taken for what",
        "Surest and wrong",
        "Surest and right",
        "taken for category",
    ):
        assert words in page.text, words
    assert page.tags["img"] == 12 + 6


@pytest.mark.parametrize("kind", ["segment", "classify"])
def test_a_page_asks_the_network_for_nothing_and_is_the_same_every_time(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = request.getfixturevalue(kind)
    html, page, _ = made(run, tmp_path / "page.html")
    assert made(run, tmp_path / "again.html")[0] == html
    for tag, name, target in page.links:
        assert target.startswith(("data:", "#")) or (tag, name) == ("a", "href"), (tag, name, target)
    own = [data for _, _, data in page.raw if "plotly.js v" not in data[:200]]
    assert len(own) == len(page.raw) - 1 and not any("http" in data or "@import" in data for data in own)
    assert len(page.ids) == len(set(page.ids))


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    _, page, _ = made(write_segment_run(tmp_path / "run", seeds=1), tmp_path / "page.html")
    assert "One seed: there is no interval; --seeds 3 gives one." in page.text
    assert "±" not in page.text and "mean of 1" not in page.text and "in use" not in page.text


@pytest.mark.parametrize("write", [write_segment_run, write_classify_run])
def test_an_unfinished_run_shows_its_curves_and_how_to_go_on(write: object, tmp_path: Path) -> None:
    assert callable(write)
    _, page, missing = made(write(tmp_path / "run", finished=False), tmp_path / "page.html")
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert missing[0].endswith(f"--out {tmp_path / 'run'} --resume") and missing[0] in page.text
    assert set(page.json("data-charts")) == {"training-loss", "training-validation"}
    assert "10 so far" in page.text and "not finished" in page.text and page.tags["img"] == 0


def test_what_is_missing_or_broken_is_named_and_the_rest_is_shown(segment: Path, tmp_path: Path) -> None:
    run = shutil.copytree(segment, tmp_path / "run")
    (run / "examples.npz").unlink()
    (run / "weights.json").write_text("{")
    for folder in run.glob("seed-*"):
        (folder / "metrics.jsonl").unlink()
        (folder / "outcome.json").unlink()
    result = read_result(run / "result.json")
    (run / "result.json").write_text(json.dumps(asdict(replace(result, details={}))))
    _, page, missing = made(run, tmp_path / "page.html")
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert missing[0] == "examples.npz is missing: there are no shapes to draw." and "weights.json" in missing[1]
    for words in (*missing, "The result holds no scores of categories", "no curves to draw", "Instance mIoU"):
        assert words in page.text, words


def test_evaluations_of_a_fine_tuned_network_stand_on_its_page(segment: Path, tmp_path: Path) -> None:
    run = shutil.copytree(segment, tmp_path / "run")
    again = replace(read_result(run / "result.json"), evaluation="segmentation")
    write_results(run, {"linear": LINEAR, "segmentation": again})
    _, page, _ = made(run, tmp_path / "page.html")
    assert [name for name in page.ids if name in [*SECTIONS, "others"]] == [*SECTIONS[:-1], "others", "record"]
    assert "Linear SVM on frozen features" in page.text and "81.0 ± 2.5 %" in page.text
    assert "Part segmentation · segmentation" in page.text
    assert page.text.count("Mean over the test shapes") == 2


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    evil = "</script><img src=http://x>"
    table = PartsTable((evil, "b", "c"), TABLE.parts, (evil, *TABLE.names[1:]))
    split = replace(labelled_shapes(9), ids=tuple(f"{evil}{row}" for row in range(9)))
    run = write_segment_run(tmp_path / "run", split=split, table=table)
    (run / "weights.json").write_text(json.dumps({"taken": [evil], "new": [], "not_needed": [evil]}))
    html, page, _ = made(run, tmp_path / "page.html")
    assert "<img src=http" not in html and html.count("</script>") == html.count("<script")
    assert page.text.count(f"{evil}8") == 1 and "No weights newly initialised" in page.text


def test_a_folder_that_is_no_run_is_refused_with_what_would_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no encoder/ in it; give a folder that `crosspoint3d pretrain` or `finetune`"):
        report(ReportConfig(tmp_path))
    (tmp_path / "config.yaml").write_text("layer_decay: 1.0\n")
    with pytest.raises(UsageError, match=r"not finished: go on with `crosspoint3d finetune classify --out .* --resume"):
        report(ReportConfig(tmp_path))
    np.savez(tmp_path / "examples.npz")
    assert not (tmp_path / "report.html").exists()
