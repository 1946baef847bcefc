import json
from collections import Counter
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.config import ReportConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.report import pretrained_page, report
from tests.data.tables import example_row, example_table
from tests.report.fake_run import LINEAR, classified, every_kind, write_results, write_run

SECTIONS = ["results", "search", "map", "training", "examples", "record"]


class Page(HTMLParser):
    """What a browser would see: elements, what they point at, text, and what scripts and styles hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags[tag] += 1
        self.ids += [str(named["id"])] if "id" in named else []
        self.links += [(tag, name, str(named[name])) for name in ("src", "href", "srcset", "action") if name in named]
        self._open = (tag, named) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.raw.append((*self._open, data))
        else:
            self.words.append(data)

    def json(self, name: str) -> Any:
        return json.loads("".join(data for _, named, data in self.raw if named.get("id") == name))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    example_table(folder / "table", 60)
    write_results(write_run(folder / "run", folder / "table"))
    return folder / "run"


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    result = report(ReportConfig(run))
    assert str(run / "report.html") in str(result) and result.missing == ()
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_section_is_there_and_none_says_that_something_is_missing(page: Page, html: str) -> None:
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert "not measured" not in page.text and 'class="missing"' not in html


def test_the_main_numbers_stand_beside_their_baselines(page: Page) -> None:
    for words in (
        "Linear accuracy 81.0 % ± 2.5 untrained 51.0 ± 2.5 % difference +30.0 points chance 25.0 % (× 3)",
        "Search recall@1 40.0 %",
        "Training steps 30",
        "Training time 3 min 20 s 12.5 pairs/s",
        "Few-shot, 5-way 10-shot",
        "clean protocol · some table · 48 train shapes · 12 test shapes",
        "a note to read",
        "12 of 12 held-out shapes (split test )",
        "t-SNE",
        "evaluate linear 1 min 15 s",
        "torch 2.9.9",
    ):
        assert words in page.text, words


def test_the_page_asks_the_network_for_nothing(page: Page, html: str) -> None:
    for tag, name, target in page.links:
        assert target.startswith(("data:", "#")) or (tag, name) == ("a", "href"), (tag, name, target)
    assert all("src" not in named for tag, named, _ in page.raw if tag == "script")
    own = [data for _, _, data in page.raw if "plotly.js v" not in data[:200]]
    assert len(own) == len(page.raw) - 1, "plotly.js once"
    assert not any("http" in data or "@import" in data for data in own)
    assert html.count("<script") - html.count("<script>") == 4


def test_the_map_and_the_curves_hold_what_was_measured(page: Page) -> None:
    shapes = page.json("data-shapes")
    rows = sorted(row for trace in page.json("data-map")["data"] for row in trace["customdata"])
    assert rows == list(range(12))
    assert [name for name, _ in shapes["names"]] == [f"shape/{i}" for i in range(60) if i % 5 == 4]
    assert page.json("data-losses")["data"][0]["y"] == [round(5.0 - step / 20, 4) for step in range(1, 31)]


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_page(run: Path, html: str, tmp_path: Path) -> None:
    report(ReportConfig(run, out=tmp_path / "again.html"))
    report(ReportConfig(run, out=tmp_path / "other.html", seed=1))
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html
    assert (tmp_path / "other.html").read_text(encoding="utf-8") != html


def test_features_are_computed_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = pretrained_page.compute_features

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments[1].shape)
        return original(*arguments, **named)

    monkeypatch.setattr(pretrained_page, "compute_features", counted)
    report(ReportConfig(run, out=tmp_path / "page.html", shapes=7))
    assert calls == [(7, 24, 3)]


def test_what_is_missing_is_said_with_the_command_that_makes_it(tmp_path: Path) -> None:
    example_table(tmp_path / "table", 6)
    run = write_run(tmp_path / "run", tmp_path / "table", images=False, logs=False)
    result = report(ReportConfig(run))
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    for kind in ("linear", "few-shot", "retrieval"):
        command = f"crosspoint3d evaluate {kind} --encoder {run} --data {tmp_path / 'table'}"
        assert command in page.text and command in result.missing
    assert "no image encoder" in page.text and "no logged step" in page.text
    assert "summary.json: missing" in page.text
    assert "1 shapes: a map needs 3 or more" in page.text


def test_without_held_out_shapes_and_categories_the_page_says_so(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "table", points=32, settings={})
    bare = {"split": None, "category": None, "views": [], "view_poses": None}
    table.append([example_row(i) | bare for i in range(5)])
    run = write_run(tmp_path / "run", tmp_path / "table")
    report(ReportConfig(run))
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert "5 of 5 training shapes (no shape is held out: the encoder has seen these)" in page.text
    assert "principal components" in page.text and "--labels split.csv" in page.text
    assert "some of the shapes have no picture" in page.text
    assert page.tags["img"] == 5 * 3, "a cloud and two augmentations of each"


def test_a_table_that_is_gone_leaves_the_numbers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None, images=False)
    write_results(run)
    result = report(ReportConfig(run))
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert result.shapes == 0 and any("no table at gone" in words for words in result.missing)
    assert "81.0 ± 2.5 %" in page.text and "no table at gone" in page.text


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    table = ShapeTable.create(tmp_path / "table", points=32, settings={"origin": evil})
    table.append([example_row(i) | {"category": evil, "id": f"{evil}{i}", "split": "test"} for i in range(4)])
    table.append([example_row(i) | {"category": evil, "id": f"{evil}{i}"} for i in range(4, 6)])
    run = write_run(tmp_path / "run", tmp_path / "table")
    (run / "evaluation" / "x<b>").mkdir(parents=True)
    (run / "evaluation" / "x<b>" / "result.json").write_text(evil)
    report(ReportConfig(run))
    html = (run / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.tags["script"] == 6 and page.tags["b"] == html.count("<b>") and "x<b>" not in html
    assert "<script>alert" not in html
    assert page.json("data-shapes")["names"][0] == [f"{evil}0", evil]
    assert [trace["name"] for trace in page.json("data-map")["data"]] == [evil]


def test_a_broken_result_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None, images=False)
    write_results(run)
    (run / "evaluation" / "linear" / "result.json").write_text("{")
    (run / "evaluation" / "knn").mkdir()
    (run / "evaluation" / "knn" / "result.json").write_text(json.dumps(asdict(replace(LINEAR, evaluation="new kind"))))
    report(ReportConfig(run, out=tmp_path / "deep" / "page.html"))
    page = Page((tmp_path / "deep" / "page.html").read_text(encoding="utf-8"))
    assert "evaluation/linear/result.json: cannot be read" in page.text
    assert "crosspoint3d evaluate linear" in page.text and "Few-shot, 5-way 10-shot" in page.text
    assert "new kind · knn" in page.text


def test_all_evaluations_are_on_one_page_that_is_the_same_every_time(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None, images=False)
    write_results(run, every_kind())
    report(ReportConfig(run, out=tmp_path / "page.html"))
    report(ReportConfig(run, out=tmp_path / "again.html"))
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html == (tmp_path / "again.html").read_text(encoding="utf-8")
    assert len(html) - html.index('<script type="application/json"') < 200_000, "plots stay small beside plotly.js"
    page = Page(html)
    for words in (
        "Nearest neighbours on frozen features",
        "Linear SVM 5-way 10-shot 80.0",
        "Linear SVM with few labels",
        "Shape → shape Mean average precision",
        "NMI (normalised mutual information)",
        "Jitter how much",
        "All 20 scores under these conditions",
        "elsewhere: overall accuracy",
        "Dashed: without damage",
        "What is taken for what Rows: what a shape is",
    ):
        assert words in page.text, words
    assert "not measured yet" not in page.text and "More can be measured" not in page.text
    charts = page.json("data-charts")
    assert len(charts) == 9 and set(charts) <= set(page.ids)
    assert all(figure["data"] for figure in charts.values())
    own = [data for _, _, data in page.raw if "plotly.js v" not in data[:200]]
    assert not any("http" in data for data in own)


def test_evaluations_that_are_no_main_ones_are_named_in_one_line(page: Page) -> None:
    assert page.text.count("More can be measured: crosspoint3d evaluate knn") == 1
    assert "likewise label-fraction, cluster, robustness." in page.text


def test_categories_with_strange_names_stay_text(tmp_path: Path) -> None:
    evil = "</script><img src=http://x>"
    found = classified("linear")
    run = write_run(tmp_path / "run", None, images=False)
    write_results(run, {"linear": replace(found, details=found.details | {"categories": [evil] * 6})})
    report(ReportConfig(run))
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "<img src=http" not in html and html.count("</script>") == html.count("<script")
    (name,) = [name for name in Page(html).json("data-charts") if name.endswith("confusion")]
    assert any(evil in text for row in Page(html).json("data-charts")[name]["data"][0]["text"] for text in row)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        report(ReportConfig(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="no encoder/ in it; give a folder"):
        report(ReportConfig(tmp_path))
    (tmp_path / "config.yaml").write_text("image_encoder: resnet18\n")
    with pytest.raises(UsageError, match=r"crosspoint3d pretrain --out .* --resume"):
        report(ReportConfig(tmp_path))
    with pytest.raises(UsageError, match="--shapes 0"):
        report(ReportConfig(tmp_path, shapes=0))
    assert not (tmp_path / "report.html").exists()
