import importlib

from crosspoint3d import cli
from crosspoint3d.evaluation.benchmark.verbs import MAIN
from crosspoint3d.evaluation.verbs import VERBS, function


def test_the_functions_are_those_of_the_command_line() -> None:
    for name, verb in VERBS.items():
        there = cli.VERBS[f"evaluate {name}"]
        assert there.config_class is verb.config_class
        assert there.function == f"evaluation.{verb.function}"
        module = verb.function.partition(":")[0]
        assert importlib.util.find_spec(f"crosspoint3d.evaluation.{module}") is not None
        assert callable(function(name))
    others = {"benchmark", "repeat", "segmentation"}
    assert {f"evaluate {name}" for name in {*VERBS, *others}} == {n for n in cli.VERBS if n.startswith("evaluate ")}
    assert set(MAIN) == set(VERBS)
