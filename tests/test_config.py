"""Configs, YAML files and the command line that is made of them."""

import dataclasses
import re
from pathlib import Path

import pytest

from crosspoint3d import cli, config
from crosspoint3d.config_file import load_yaml, save_yaml, to_dict

REQUIRED = {
    "prepare": ["SOURCE", "--out", "T"],
    "inspect": ["T"],
    "pretrain": ["--data", "T", "--out", "R"],
    "sweep": ["S.yaml", "--out", "O"],
    "evaluate linear": ["--encoder", "R", "--data", "T"],
    "evaluate few-shot": ["--encoder", "R", "--data", "T"],
    "evaluate knn": ["--encoder", "R", "--data", "T"],
    "evaluate retrieval": ["--encoder", "R", "--data", "T"],
    "evaluate label-fraction": ["--encoder", "R", "--data", "T"],
    "evaluate cluster": ["--encoder", "R", "--data", "T"],
    "evaluate robustness": ["--encoder", "R", "--data", "T"],
    "evaluate benchmark": ["B.yaml", "--out", "O"],
    "evaluate repeat": ["result.json"],
    "evaluate segmentation": ["--model", "R", "--data", "T"],
    "finetune segment": ["--encoder", "R", "--data", "T", "--out", "O"],
    "finetune classify": ["--encoder", "R", "--data", "T", "--out", "O"],
    "segment": ["R", "A.ply", "B", "--out", "O"],
    "classify": ["R", "A.ply", "B", "--out", "O"],
    "download": ["N"],
    "convert": ["W.pth", "E"],
    "report": ["R"],
    "demo": [],
}


@pytest.mark.parametrize("verb", cli.VERBS)
def test_a_saved_config_parses_to_itself(verb: str, tmp_path: Path) -> None:
    parsed = cli.parse(verb, REQUIRED[verb])
    save_yaml(parsed, tmp_path / "c.yaml")
    assert cli.parse(verb, ["--config", str(tmp_path / "c.yaml")]) == parsed


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_field_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.parse(verb, ["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(cli.VERBS[verb].config_class):
        flag = field.name.upper() if field.metadata.get("positional") else f"--{field.name.replace('_', '-')}"
        assert flag.lower() in text.lower()
    source = "".join(path.read_text() for path in Path(config.__file__).parent.glob("*.py"))
    fields = re.findall(r"^    \w+: .+$", source, re.M)
    helps = re.findall(r'^    """.+"""$', source, re.M)
    assert len(helps) == len(fields) + len(re.findall(r"^class \w+", source, re.M))


def test_flags_win_over_the_file_and_the_file_over_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("data: [A, B]\nout: R\nrecipe: paper\nbatch_size: 7\nresume: false\nmax_steps: null\n")
    parsed = cli.parse("pretrain", ["--config", str(file), "--k", "9", "--data", "C"])
    assert (parsed.k, parsed.batch_size, parsed.points, parsed.optimizer) == (9, 7, 2048, "adam")
    assert parsed.data == (Path("C"),)
    assert cli.parse("pretrain", ["--config", str(file)]).data == (Path("A"), Path("B"))


def test_a_positional_argument_wins_over_the_file(tmp_path: Path) -> None:
    save_yaml(cli.parse("prepare", ["A", "--out", "T", "--retry-failed"]), tmp_path / "c.yaml")
    for arguments in (["B", "--config", "{}"], ["--config", "{}", "B"], ["--config={}", "B"]):
        parsed = cli.parse("prepare", [word.format(tmp_path / "c.yaml") for word in arguments])
        assert (parsed.source, parsed.out, parsed.retry_failed) == ("B", Path("T"), True)


def test_two_positional_arguments_keep_their_order(tmp_path: Path) -> None:
    save_yaml(cli.parse("convert", ["A.pth", "E", "--k", "7"]), tmp_path / "c.yaml")
    for arguments in (["B.pth", "--config", "{}"], ["--config", "{}", "B.pth"], ["--config={}", "B.pth", "--k", "7"]):
        parsed = cli.parse("convert", [word.format(tmp_path / "c.yaml") for word in arguments])
        assert (parsed.weights, parsed.out, parsed.k) == (Path("B.pth"), Path("E"), 7)


def test_data_may_be_repeated_or_listed() -> None:
    listed = cli.parse("pretrain", ["--data", "A", "B", "--out", "R", "--weights", "0.7", "0.3"])
    repeated = cli.parse("pretrain", ["--data", "A", "--out", "R", "--data", "B", "--weights", "0.7", "0.3"])
    assert listed == repeated
    assert listed.weights == (0.7, 0.3)


def test_a_list_may_be_repeated_in_every_verb() -> None:
    words = ["--encoder", "E", "--data", "D"]
    listed = cli.parse("evaluate robustness", [*words, "--corruptions", "jitter", "drop", "--transfer", "A", "B"])
    repeated = ["--transfer=A", "--corruptions", "jitter", "--transfer", "B", "--corruptions", "drop"]
    assert cli.parse("evaluate robustness", [*words, *repeated]) == listed
    assert (listed.corruptions, listed.transfer) == (("jitter", "drop"), ("A", "B"))


def test_resume_reads_the_config_of_the_run(tmp_path: Path) -> None:
    save_yaml(cli.parse("pretrain", ["--data", "A", "--out", str(tmp_path), "--k", "7"]), tmp_path / "config.yaml")
    parsed = cli.parse("pretrain", ["--out", str(tmp_path), "--resume", "--epochs", "3"])
    assert (parsed.k, parsed.epochs, parsed.resume) == (7, 3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [("btch_size: 3", "did you mean batch_size"), ("- 1", "name: value"), ("a: [", "not YAML"), (None, "No such file")],
)
def test_a_bad_config_file_is_a_usage_error(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(config.UsageError, match=message):
        load_yaml(file, config.PretrainConfig)


def test_a_wrong_value_in_the_file_is_refused_by_the_parser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("data: T\nout: R\nepochs: many\n")
    with pytest.raises(SystemExit) as stop:
        cli.parse("pretrain", ["--config", str(tmp_path / "c.yaml")])
    assert stop.value.code == 2
    assert "epochs" in capsys.readouterr().err


def test_paper_recipe_is_the_published_one() -> None:
    parsed = cli.parse("pretrain", ["--recipe", "paper", "--data", "T", "--out", "R"])
    expected = {"k": 15, "points": 2048, "batch_size": 20, "epochs": 100, "lr": 1e-3, "weight_decay": 1e-6}
    assert {name: to_dict(parsed)[name] for name in expected} == expected
    assert (parsed.temperature, parsed.image_encoder, parsed.image_size) == (0.1, "resnet50", 224)


def test_the_options_of_pretrain_are_a_decision() -> None:
    names = {field.name for field in dataclasses.fields(config.PretrainConfig)}
    assert names == {
        *("data", "out", "recipe", "weights", "encoder", "emb_dims", "width", "k", "image_encoder", "image_size"),
        *("projection_dims", "intra_weight", "cross_weight", "temperature", "points", "epochs", "max_steps"),
        *("batch_size", "optimizer", "lr", "weight_decay", "warmup", "grad_clip", "precision", "checkpoint_every"),
        *("log_every", "workers", "device", "threads", "seed", "resume", "chunk", "compile", "exclude"),
        *("patches", "patch_points", "depth", "heads", "tensorboard", "wandb", "probe_every", "accumulate"),
        *("views", "view_loss", "learn_temperature", "queue", "consecutive", "image_weights", "freeze_images"),
        *("pictures", "augmentation", "without"),
    }
