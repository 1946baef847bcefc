from crosspoint3d.evaluation.benchmark.verbs import label, main_scores


def test_the_table_shows_the_main_scores() -> None:
    found = main_scores("label-fraction", ["overall_accuracy@1%", "overall_accuracy@5%", "mean_class_accuracy@1%"])
    assert found == ["overall_accuracy@1%", "overall_accuracy@5%"]
    names = ["overall_accuracy", "mean_class_accuracy", "overall_accuracy@jitter=0.01", "mean_over_corruptions"]
    assert main_scores("robustness", names) == ["overall_accuracy", "mean_over_corruptions"]
    assert main_scores("retrieval", ["shape_to_shape_map", "shape_to_shape_recall@1"]) == ["shape_to_shape_map"]
    assert main_scores("cluster", ["something_new", "other"]) == ["something_new"]


def test_labels_tell_what_was_asked_for() -> None:
    assert label("linear", {}) == "linear"
    assert label("few-shot", {"k_shot": 20, "k": 5}) == "few-shot 5-way 20-shot, k=5"
    assert label("label-fraction", {"fractions": (0.01, 1.0)}) == "label-fraction, fractions=0.01+1.0"
