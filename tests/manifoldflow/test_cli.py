"""The command line: each command runs, bad input gets one message and no traceback."""

import errno
import io
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from manifoldflow import cli
from verification import runner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_file(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    path = tmp_path / "small.npz"
    np.savez(path, X=rng.normal(size=(3, 6)) / 2.0, y=rng.normal(size=3))
    return str(path)


def small(command: str, data: str, *more: str) -> list[str]:
    return [command, "--data", data, "--width", "4", *more]


def test_verify_holds(data_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    options = ["--activation", "sinh(z)", "--statements", "S1,S2,S3", "--out", str(out), "--processes", "0"]
    assert cli.main(small("verify", data_file, *options)) == 0
    text = capsys.readouterr()
    assert "3 verdicts: 3 hold." in text.out
    assert "S2 holds" in text.err
    assert json.loads((out / "verification.json").read_text())["exit_code"] == 0
    assert (out / "index.html").exists()


def test_workers_load_what_the_runner_says() -> None:
    assert cli.verify.PRELOADED == runner.PRELOADED
    assert all(map(find_spec, runner.PRELOADED))


def test_verify_tanh_does_not_pass(data_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--activation",
        "tanh(z)",
        "--statements",
        "S2,S3,S7",
        "--out",
        str(tmp_path),
        "--processes",
        "0",
        "--quiet",
    ]
    assert cli.main(small("verify", data_file, *options)) == 1
    text = capsys.readouterr()
    assert "S3 does not apply: A1 fails" in text.out
    assert "hold" not in text.out.splitlines()[-1]
    assert "S2" not in text.err


def test_verify_prints_json(data_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--activation", "sinh(z)", "--statements", "S7", "--json", "--out", str(tmp_path), "--processes", "0"]
    assert cli.main(small("verify", data_file, *options)) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["command"].endswith("--activation='sinh(z)' --width=4 --seed=0 --statements=S7")


def test_verify_interrupted(data_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "check_case", interrupt)
    options = ["--activation", "sinh(z)", "--out", str(tmp_path / "report"), "--processes", "0"]
    assert cli.main(small("verify", data_file, *options)) == 130
    assert "interrupted; 0 of 1 cases were finished" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("command", ["inspect", "flow", "sgd"])
def test_commands_print_text_and_json(command: str, data_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--steps", "500", "--runs", "1"] if command == "sgd" else []
    assert cli.main(small(command, data_file, *more)) == 0
    assert "small, z**3 + z" in capsys.readouterr().out
    assert cli.main(small(command, data_file, "--json", *more)) == 0
    assert json.loads(capsys.readouterr().out)["case"] == "small, z**3 + z"


def test_flow_writes_points_and_plots(data_file: str, tmp_path: Path) -> None:
    assert cli.main(small("flow", data_file, "--out", str(tmp_path / "out"))) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "flow.npz",
        "sharpness.svg",
        "singular_values.svg",
    ]
    with np.load(tmp_path / "out" / "flow.npz") as found:
        assert found["theta"].shape == (found["t"].size, 4, 6)


def test_sgd_writes_points(data_file: str, tmp_path: Path) -> None:
    assert cli.main(small("sgd", data_file, "--steps", "500", "--out", str(tmp_path))) == 0
    with np.load(tmp_path / "sgd.npz") as found:
        assert found["theta"].shape == (2, 4, 6)


def test_derive_refuses_to_print_a_record_that_failed_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from derivations import Derivation
    from derivations.checks.result import verdict

    wrong = (verdict("sharpness", "autograd", 1.0, 1e-12, "tampered"),)
    monkeypatch.setattr(Derivation, "check", lambda self, *, rng=0: wrong)
    assert cli.main(["derive", "--activation", "sinh(z)"]) == 2


def test_derive_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["derive", "--activation", "sinh(z)"]) == 0
    printed = capsys.readouterr().out
    assert "Riemannian gradient of the sharpness" in printed
    assert cli.main(["derive", "--activation", "sinh(z)", "--out", str(tmp_path), "--format", "md,html"]) == 0
    again = (tmp_path / "derivation.md").read_text(encoding="utf-8").replace("md,html --out report", "md")
    assert again.strip() == printed.strip()
    assert (tmp_path / "derivation.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_derive_takes_what_interval_arithmetic_proves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from derivations import Derivation, UnitFunction
    from verification.commands.derive import enclosed

    monkeypatch.setattr(Derivation, "check", lambda self, *, rng=0: ())  # slow, and tested elsewhere
    assert cli.main(["derive", "--activation", "sinh(z) + z**3/5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["enclosed"]["constants"]["rho1"] == ["1", "1.000001"]
    assert "proved there" in found["statements"]["S3"]["verdict"]
    # The third derivative of z**4/4 is negative on the left: nothing is claimed there.
    assert enclosed(UnitFunction("erf(z) - z**3")) is None
    assert enclosed(UnitFunction("z**4/4 + erf(z)/10 + z")).low > 0.0


def test_inspect_writes_its_numbers(data_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(small("inspect", data_file, "--json", "--out", str(tmp_path / "out"))) == 0
    assert (tmp_path / "out" / "inspect.json").read_text() == capsys.readouterr().out.rstrip("\n")


def test_derive_leaves_the_unit_open_and_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["derive", "--general", "--p", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["own_parameters"] == 1
    assert found["unit"] is None
    assert {check["method"] for check in found["checks"]} == {"symbolic"}
    assert all(check["passed"] for check in found["checks"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "docx"], "the formats are html"),
        (["--format", "pdf"], "name a folder with --out"),
        (["--format", "md,tex"], "name a folder with --out"),
        (["--p", "2"], "--general"),
        (["--general", "--own", "c"], "--p"),
        (["--general", "--p", "9"], "0 to 8"),
        (["--own", "c"], "do not occur"),
        (["--own", "z", "--activation", "z"], "already has a meaning"),
        (["--activation", "c*tanh(z)"], "unknown name 'c'"),
    ],
)
def test_derive_says_what_is_wrong(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["derive", *options]) == 2
    assert said in capsys.readouterr().err


def test_derive_does_not_ignore_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["derive", "--general", "--activation", "z"])
    assert stop.value.code == 2
    assert "--activation: not allowed with argument --general" in capsys.readouterr().err


BAD = [
    (["inspect", "--activation", "__import__('os').system('x')"], "not allowed"),
    (["inspect", "--activation", "nosuch(z)"], "nosuch"),
    (["inspect", "--data", "nosuch"], "nosuch"),
    (["inspect", "--data", "/nonexistent/file.npz"], "does not exist"),
    (["verify", "--statements", "S1,S99"], "S99"),
    (["sgd", "--data", "synthetic", "--step-size", "1"], "stable bound"),
    (["inspect", "--data", "synthetic", "--activation", "exp(z)"], "out of reach"),
    (["inspect", "--activation", "c", "--own", "c"], "has no z"),
]


@pytest.mark.parametrize(("arguments", "part"), BAD)
def test_bad_input_gets_one_message(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    text = capsys.readouterr()
    assert text.err.startswith(f"manifoldflow {arguments[0]}: ")
    assert part in text.err
    assert "Traceback" not in text.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "there is no command 'nosuch'; the commands are verify, inspect,"),
        (["verfy", "--width", "3"], "there is no command 'verfy'; did you mean verify?"),
        (["--verson"], "unknown option --verson; did you mean --version?"),
        (["verify", "--activaton=z", "--own", "c"], "unknown option --activaton; did you mean --activation?"),
        (["verify", "S1"], "unexpected word 'S1'"),
        (["campaign", "status", "a.sqlite", "--jsn"], "did you mean --json?"),
        (["verify", "--output-weights", "-1,2"], "follows =, as in --output-weights=-1,2"),
        (["verify", "--width", "0"], "whole number >= 1; got '0'"),
        (["verify", "--width", "2.5"], "whole number >= 1"),
        (["verify", "--seed", "-1"], "whole number >= 0"),
        (["verify", "--seed", "\u0663"], "whole number >= 0"),
        (["sgd", "--step-size", "nan"], "positive number"),
        (["sgd", "--noise-std", "-1"], "positive number"),
        (["sgd", "--steps", "1" * 30], "whole number >= 1"),
        (["sgd", "--steps", "1e99"], "whole number >= 1"),
    ],
)
def test_bad_options_are_refused_by_the_parser(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    message, where, end = capsys.readouterr().err.split("\n")
    assert said in message
    command = f"{arguments[0]} " if arguments[0] in ("verify", "sgd", "campaign") else ""
    assert (where, end) == (f"Help: manifoldflow {command}--help", "")


class Full(io.StringIO):
    """An output on a full disk, whose file is another one."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self) -> int:
        return self.file.fileno()


def test_an_output_that_cannot_be_written_is_one_message(
    data_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "full").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", Full(file))
        assert cli.main(small("inspect", data_file)) == 2
    assert "manifoldflow inspect: cannot write the output ([Errno 28] No space left" in capsys.readouterr().err


def test_a_closed_output_is_none(data_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(small("inspect", data_file)) == 0


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err == cli.parser().format_help()


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from manifoldflow import cli\n"
        "try:\n    cli.main(['verify', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'sympy', 'numba', 'matplotlib', 'verification', 'derivations'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--activation FORMULA" in done.stdout


@pytest.mark.parametrize("command", ["verify", "inspect", "flow", "sgd", "study", "search", "derive"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(command, tmp_path, capsys) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        cli.main([command, "--out", str(file)])
    assert "is not a folder that can be written to" in capsys.readouterr().err
    assert file.read_text() == "mine"
