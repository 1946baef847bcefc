"""Verbs, messages and exit codes."""

import pytest

from crosspoint3d import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrian"], "did you mean 'pretrain'"),
        (["evaluate", "liner"], "did you mean 'evaluate linear'"),
        (["evaluate"], "evaluate retrieval"),
        (["prepare", "no-such-folder", "--out", "T"], "SOURCE 'no-such-folder' does not exist"),
        (["prepare", "procedural:x", "--out", "T"], "procedural:COUNT"),
        (["pretrain", "--data", "no-such-table", "--out", "R"], "no table at no-such-table"),
        (["pretrain", "--data", "T", "--out", "R", "--batch-size", "1"], "--batch-size 1: must be at least 2"),
        (["evaluate", "linear", "--encoder", "nowhere", "--data", "procedural:30"], "nowhere"),
        (["evaluate", "linear", "--encoder", "random:dgcnn", "--data", "nowhere"], "no table at nowhere"),
        (["pretrain", "--config"], "--config: expected a YAML file"),
        (["report", "no-such-run"], "no-such-run"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in cli.VERBS)
    assert cli.run([]) == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_unknown_flag_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.run(["demo", "--shaps", "3"])
    assert stop.value.code == 2
    assert "--shapes" in capsys.readouterr().err


def test_a_full_disk_is_a_message_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "table/data")

    monkeypatch.setattr("crosspoint3d.data.prepare.prepare", full)
    assert cli.run(["prepare", "X", "--out", "T"]) == 1
    assert capsys.readouterr().err == "crosspoint3d: No space left on device (table/data)\n"


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crosspoint3d.data.prepare.prepare", interrupt)
    assert cli.run(["prepare", "X", "--out", "T"]) == 130
    assert "interrupted" in capsys.readouterr().err
