import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crosspoint3d.config import BenchmarkConfig
from crosspoint3d.evaluation.benchmark import benchmark
from crosspoint3d.evaluation.benchmark.table import Table
from crosspoint3d.evaluation.benchmark.text import difference_words, score_words, shown, terminal
from crosspoint3d.evaluation.compare import Comparison, PairedTest
from crosspoint3d.evaluation.metrics import summary
from tests.evaluation.benchmark.fakes import use_evaluations, write_file

FILE = """
data: modelnet40:{folder}
protocols: [clean, paper]
seeds: 3
encoders:
  - {{name: PointNet <1>, encoder: "random:pointnet"}}
  - {{name: "DGCNN, ours", encoder: "random:dgcnn", published: "DGCNN, CrossPoint"}}
{more}
evaluations:
  - linear
  - few-shot: {{n_way: 10, k_shot: 20}}
  - few-shot: {{n_way: 10, k_shot: 20, n_query: 15}}
  - label-fraction
  - cluster
  - robustness
"""
THIRD = '  - {name: Part, encoder: "random:dgcnn-partseg", published: {cluster ari: 12.5, cluster nothing: 3}}'


def table_of(folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Table:
    use_evaluations(monkeypatch)
    file = write_file(folder / "b.yaml", FILE.format(folder=folder, more=more))
    return benchmark(BenchmarkConfig(file, folder / "out", device="cpu")).table


def test_columns_are_scores_by_evaluation_and_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, monkeypatch)
    columns = [(c.protocol, c.evaluation.verb, c.score) for c in table.columns]
    assert columns[: len(columns) // 2] == [("clean", verb, score) for _, verb, score in columns[len(columns) // 2 :]]
    assert [score for _, _, score in columns[: len(columns) // 2]] == [
        "overall_accuracy", "mean_class_accuracy", "accuracy", "accuracy", "overall_accuracy@1%",
        "overall_accuracy@100%", "nmi", "overall_accuracy", "mean_over_corruptions",
    ]  # fmt: skip


def test_published_numbers_stand_where_data_evaluation_and_options_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(tmp_path, monkeypatch, THIRD)
    found = {
        (c.evaluation.label, c.score, name): [n.text for n in cell.published]
        for c in table.columns
        for name, cell in c.cells.items()
        if cell.published
    }
    assert found == {
        ("linear", "overall_accuracy", "DGCNN, ours"): ["91.2"],
        ("few-shot 10-way 20-shot", "accuracy", "DGCNN, ours"): ["87.9 ± 4.2"],
    }
    assert any("'cluster nothing' has no column" in note for note in table.notes)
    assert "published 91.2: DGCNN, CrossPoint, the CrossPoint paper" in terminal(table)


def test_the_best_is_marked_only_where_it_differs_from_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = table_of(tmp_path, monkeypatch)
    best = {c.score: c.best for c in two.columns}
    assert best["overall_accuracy"] == best["accuracy"] == "DGCNN, ours"
    assert best["nmi"] is best["mean_class_accuracy"] is None, "no single shapes, no test, no mark"
    three = table_of(tmp_path, monkeypatch, THIRD)
    assert {c.best for c in three.columns} == {None}, "the two best differ by two shapes of 400"
    assert "*" in terminal(two)
    assert " *" not in terminal(three)


def test_the_terminal_gets_every_column_within_its_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, monkeypatch)
    for columns in (70, 120, 300):
        monkeypatch.setenv("COLUMNS", str(columns))
        body = terminal(table).split("per cent;")[0]
        assert max(map(len, body.splitlines())) <= columns
        assert body.count("PointNet <1>") >= 2
        assert len(re.findall(r"\d\d\.\d ± 2\.5", body)) == 2 * len(table.columns) == 36


class Page(HTMLParser):
    """Collects tags that would ask the network, and how many columns every row of the tables has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.tables: list[list[int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        assert tag not in ("script", "iframe", "object")
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th"):
            self.tables[-1][-1] += int(dict(attrs).get("colspan") or 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_the_network_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, monkeypatch, THIRD)
    text = (tmp_path / "out" / "table.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    results = [link for link in page.links if link.startswith("results/")]
    assert len(results) == len(table.outcomes)
    assert all((tmp_path / "out" / link).is_file() for link in results)
    assert all(link.startswith(("#", "results/", "table.csv", "benchmark.json", "data:,")) for link in page.links)
    assert "url(" not in text
    assert len(page.tables) >= 3
    assert all(len(set(rows)) == 1 for rows in page.tables)
    assert "PointNet &lt;1&gt;" in text
    assert "PointNet <1>" not in text
    assert "DGCNN, ours − PointNet &lt;1&gt;" in text, "the better one first"
    assert "91.7" in text, "what is published of others is listed below"
    assert "everybody&#39;s note" in text
    assert "PointNet &lt;1&gt;: PointNet&#39;s own note" in text


def test_numbers_and_names_as_words() -> None:
    assert shown("accuracy", summary([0.5, 0.6])) == "55.0 ± 63.5"
    assert shown("accuracy", summary([0.5])) == shown("accuracy", summary([0.5, 0.5])) == "50.0"
    assert shown("mean_rank", summary([3.25])) == "3.2"
    assert score_words("overall_accuracy@jitter=0.02") == "at jitter 0.02"
    assert score_words("overall_accuracy@transfer=PB_T50_RS") == "on PB_T50_RS"
    assert score_words("shape_to_shape_map") == "shape to shape mAP"
    assert shown("x", summary([0.1 + 0.2, 0.3])) == "30.0", "the last digit of a float is no spread"
    assert score_words("picture_to_shape_recall@1") == "picture to shape recall@1"
    pair = Comparison("a", "b", "episode", PairedTest(0.0123, -0.004, 0.02, 0.03, 50), 0.06, "")
    assert difference_words(pair, "accuracy") == "+1.2 points [−0.4, 2.0], p = 0.060"
    assert difference_words(Comparison("a", "b", "", None, None, "they differ in seeds"), "x") == "they differ in seeds"


def test_chance_stands_below_the_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, monkeypatch)
    column = next(column for column in table.columns if column.score == "accuracy")
    assert column.chance is not None
    words = shown("accuracy", column.chance)
    row = next(line for line in terminal(table).splitlines() if line.startswith("(chance)"))
    assert words in row.split()
    page = (tmp_path / "out" / "table.html").read_text(encoding="utf-8")
    assert re.search(rf'<tr class="chance">.*?>{re.escape(words)}</td>', page, re.S)
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["score"] == "accuracy"]
    assert {float(row["chance"]) for row in rows} == {column.chance["mean"]}
