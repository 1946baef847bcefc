import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.evaluation.score_names import by_condition, split_level


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("overall_accuracy@jitter=0.02", ("overall_accuracy@jitter", "=0.02")),
        ("overall_accuracy@scale=anisotropic", ("overall_accuracy@scale", "=anisotropic")),
        ("overall_accuracy@transfer=scanobjectnn:a/b=c", ("overall_accuracy@transfer", "=scanobjectnn:a/b=c")),
        ("mean_class_accuracy@5%", ("mean_class_accuracy@", "5%")),
        ("mean_class_accuracy@0.5%", ("mean_class_accuracy@", "0.5%")),
        ("picture_to_shape_recall@5", None),
        ("overall_accuracy", None),
        ("overall_accuracy@so3", None),
    ],
)
def test_only_a_condition_has_a_level(name: str, pieces: tuple[str, str] | None) -> None:
    assert split_level(name) == pieces


def test_scores_of_two_names_are_not_mixed_though_they_alternate() -> None:
    names = ["a@1%", "b@1%", "recall@1", "a@2%", "b@2%", "c@drop=1%"]
    assert by_condition(names) == {
        "a@": ["a@1%", "a@2%"],
        "b@": ["b@1%", "b@2%"],
        "recall@1": ["recall@1"],
        "c@drop=1%": ["c@drop=1%"],
    }


@given(st.lists(st.text("ab@=1%.", min_size=1, max_size=8), unique=True))
def test_every_name_is_in_one_group_and_begins_with_its_name(names: list[str]) -> None:
    groups = by_condition(names)
    assert sorted(name for members in groups.values() for name in members) == sorted(names)
    assert all(name.startswith(start) for start, members in groups.items() for name in members)
