from pathlib import Path

import numpy as np

from crosspoint3d.report.class_examples import class_examples
from crosspoint3d.report.sections import Missing
from crosspoint3d.training.classify_results import save_examples
from tests.report.fake_finetuned import class_answers
from tests.report.test_pictures import opened

NAMES = [f"category {letter}" for letter in "abcdef"]


def test_the_surest_answers_are_drawn_with_what_they_are(tmp_path: Path) -> None:
    answers = class_answers(60, len(NAMES), 0)
    save_examples(tmp_path / "examples.npz", answers, NAMES)
    found = class_examples(tmp_path / "examples.npz")
    assert not isinstance(found, Missing)
    wrong, right = found.values()
    assert len(wrong) == 12 and len(right) == 6
    assert all(shape.truth != shape.predicted for shape in wrong)
    assert sorted(shape.truth for shape in right) == NAMES and all(shape.truth == shape.predicted for shape in right)
    for shape in (*wrong, *right):
        row = answers.test.ids.index(shape.id)
        assert shape.truth == NAMES[answers.test.labels[row]]
        assert shape.confidence == f"{100 * answers.probabilities[row].max():.1f} %"
        assert (opened(shape.uri) < 200).any()


def test_where_all_are_right_only_these_are_shown(tmp_path: Path) -> None:
    answers = class_answers(12, len(NAMES), 0)
    sure = np.eye(len(NAMES), dtype=np.float32)[answers.test.labels]
    save_examples(tmp_path / "examples.npz", type(answers)(answers.test, sure, sure), NAMES)
    found = class_examples(tmp_path / "examples.npz")
    assert not isinstance(found, Missing) and [len(group) for group in found.values()] == [6]


def test_files_that_are_none_are_said_to_be_so(tmp_path: Path) -> None:
    assert "missing" in str(class_examples(tmp_path / "examples.npz"))
    (tmp_path / "examples.npz").write_bytes(b"")
    assert "cannot be read" in str(class_examples(tmp_path / "examples.npz"))
