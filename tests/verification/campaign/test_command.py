"""`manifoldflow campaign` from the outside."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from manifoldflow import cli
from verification.campaign import Standing, drive, load
from verification.campaign.progress import Line

from .conftest import kept

TOML = """[grid]
n = 3
d = 6
width = 4
seed = [0, 1]
statement = ["S2", "S7"]
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(TOML)
    return tmp_path


def campaign(*words: str) -> int:
    return cli.main(["campaign", *words])


def test_from_a_description_to_a_table(here: Path, capsys: Capture) -> None:
    assert campaign("a.toml", "--processes", "0", "--out", "page") == 0
    text = capsys.readouterr()
    assert "4 tasks: 4 done, 0 failed, 0 left" in text.out
    assert text.err.endswith("4 done, 0 failed, 0 left\nsummary: page/index.html\n")
    assert {path.name for path in (here / "page").iterdir()} == {"index.html", "summary.json"}
    assert campaign("status", "a.sqlite", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 4
    assert campaign("export", "a.sqlite", "--without-timing") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), "seconds" in lines[0]) == (5, False)
    assert campaign("export", "a.sqlite", "--format", "json", "--out", "a.json") == 0
    assert len(json.loads((here / "a.json").read_text())["rows"]) == 4
    key = lines[1][:12]
    capsys.readouterr()
    assert campaign("repeat", "a.sqlite", key) == 0
    assert capsys.readouterr().out.endswith("the same bits\n")


def test_a_dry_run_prints_the_tasks_and_writes_nothing(here: Path, capsys: Capture) -> None:
    assert campaign("a.toml", "--dry-run") == 0
    text = capsys.readouterr()
    assert [line.split("  ")[0] for line in text.out.splitlines()] == [task.key[:12] for task in load("a.toml").tasks]
    assert text.err == "4 tasks\n"
    assert campaign("a.toml", "--dry-run", "--json") == 0
    assert [task["key"] for task in json.loads(capsys.readouterr().out)["tasks"]] == [
        task.key for task in load("a.toml").tasks
    ]
    assert [path.name for path in here.iterdir()] == ["a.toml"]


def test_without_arguments_there_is_an_example(here: Path, capsys: Capture) -> None:
    assert campaign("--dry-run") == 0
    found = capsys.readouterr().out
    for kind in ("verify", "flow", "sgd"):
        assert f"  {kind}, data synthetic" in found


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(tasks: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(drive, "perform", interrupt)
    assert campaign("a.toml", "--processes", "0", "--quiet") == 130
    assert capsys.readouterr().err == "manifoldflow campaign: interrupted; the same command does the rest.\n"
    assert kept(here / "a.sqlite") == {}


def test_failures_are_exit_code_1_and_are_tried_again_when_asked(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verification.campaign import measures

    def broken(*arguments: Any) -> Any:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(measures, "check_case", broken)
        assert campaign("a.toml", "--processes", "0") == 1
    assert "MemoryError      4" in capsys.readouterr().out
    assert campaign("a.toml", "--processes", "0") == 1
    assert campaign("a.toml", "--processes", "0", "--retry-failed") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.toml"], "Cannot read nothing.toml"),
        (["a.toml", "b.toml"], "'a.toml' is one description, after which no word may follow, nor is it one of"),
        (["statu", "a.sqlite"], "did you mean status?"),
        (["status"], "status takes 1 more word(s); got 0"),
        (["repeat", "a.sqlite"], "repeat takes 2 more"),
        (["status", "nothing.sqlite"], "There is no database nothing.sqlite"),
        (["status", "a.toml"], "file is not a database"),
        (["a.toml", "--database", "a.toml"], "file is not a database"),
        (["export", "nothing.sqlite", "--format", "parquet"], "name a file with --out"),
        (["status", "a.sqlite", "--scheduler", "tcp://a:1"], "--scheduler says nothing to `campaign status`"),
        (["a.toml", "--without-timing"], "--without-timing says nothing"),
        (["cluster", "--processes", "0"], "--processes of 1 or more; got 0"),
        (["cluster", "--dry-run"], "--dry-run says nothing to `campaign cluster`"),
        (["a.toml", "--scheduler", "nowhere"], "No Dask scheduler answers at 'nowhere'"),
    ],
)
def test_what_is_wrong_is_one_message(words: list[str], said: str, here: Path, capsys: Capture) -> None:
    assert campaign(*words) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "Traceback" not in text


def test_a_missing_dask_is_said(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for words in (["a.toml", "--scheduler", "tcp://127.0.0.1:1"], ["cluster"]):
        assert campaign(*words) == 2
        assert "pip install 'manifoldflow[cluster]'" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_is_kept_up_to_date_on_a_terminal_and_rare_elsewhere() -> None:
    for stream, lines in ((Terminal(), 2), (io.StringIO(), 2)):
        line = Line(stream)
        for count in range(5):
            line(Standing(4, count, 0))
        line.close()
        assert stream.getvalue().count(" left") == lines
        assert "4 done, 0 failed, 0 left" in stream.getvalue()
        assert stream.getvalue().endswith("\r\x1b[K" if stream.isatty() else "\n")
