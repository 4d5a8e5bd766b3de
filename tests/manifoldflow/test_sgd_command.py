"""`manifoldflow sgd`: the record that it writes is that of the run it reports; killed runs and Ctrl-C lose nothing."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import cli
from manifoldflow.sgd.noise import _KINDS, SAMPLINGS
from manifoldflow.sgd.step_size import SCHEDULES
from tests.manifoldflow.conftest import Terminal, start_command, wait_until_written
from verification.commands.sgd import RECORDS, Settings, sgd
from verification.progress import ProgressLine
from verification.records import Case

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    out = tmp_path_factory.mktemp("sgd")
    text, numbers = sgd(case, Settings(steps=50_000, noise_std=0.5), out, "manifoldflow sgd")
    with np.load(out / "sgd.npz") as archive:
        return text, numbers, dict(archive), out


def test_the_record_is_that_of_the_run(written):
    _, numbers, arrays, _ = written
    steps = arrays["recorded_steps"]
    assert steps[0] == 1
    assert steps[-1] == numbers["steps"] == arrays["steps"] == 50_000
    assert steps.size <= RECORDS
    assert arrays["sharpness"].shape == arrays["recorded_loss"].shape == (steps.size, 2)
    assert arrays["singular_values"].shape == (steps.size, 2, 3)
    np.testing.assert_array_equal(arrays["recorded_loss"][-1], arrays["loss"])
    assert arrays["flow_time"][-1] == pytest.approx(numbers["flow_time"])
    np.testing.assert_allclose(np.diff(arrays["flow_time"]) / np.diff(steps), numbers["flow_time"] / 50_000, rtol=1e-9)


def test_sgd_went_down_with_the_flow(written):
    _, numbers, arrays, _ = written
    assert numbers["sharpness of SGD"] < numbers["sharpness at the start"]
    assert numbers["sharpness of SGD"] == pytest.approx(numbers["sharpness of the flow"], rel=0.1)
    assert arrays["sharpness"][0] == pytest.approx(numbers["sharpness at the start"], rel=0.2)


def test_pulled_back_iterates_follow_the_flow_closer_than_the_iterates_themselves(written):
    _, _, arrays, _ = written
    flow = arrays["flow_sharpness"]
    pulled, plain = (np.abs(arrays[name].mean(axis=1) / flow - 1.0) for name in ("pulled_back_sharpness", "sharpness"))
    assert pulled.max() < 0.1
    early = slice(0, 10)  # later the two differ by the steps' size, which the pull-back does not take away
    assert np.median(pulled[early]) < 0.2 * np.median(plain[early])


def test_the_step_size_is_a_safe_one(written):
    _, numbers, _, _ = written
    assert 0.0 < numbers["step_size"] <= 0.2 * numbers["stable_step_size_at_start"] * (1 + 1e-12)


def test_plot_and_page_are_whole_and_load_nothing(written):
    text, _, _, out = written
    svg, page = ((out / name).read_text(encoding="utf-8") for name in ("sgd.svg", "sgd.html"))
    assert svg.rstrip().endswith("</svg>")
    assert svg.count("<svg") == 1
    assert page.count("<svg") == 2
    assert "<code>manifoldflow sgd</code>" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert all(name in text for name in ("sgd.svg", "sgd.npz", "sgd.html"))


# --- options --------------------------------------------------------------------------------------


def test_the_choices_are_those_of_the_library():
    assert (cli.sgd.SAMPLINGS, cli.sgd.NOISES, cli.sgd.SCHEDULES) == (SAMPLINGS, _KINDS, SCHEDULES)


SCHEMES = [
    ["--batch-size", "full", "--noise", "gaussian", "--momentum", "0.5", "--schedule", "cosine"],
    ["--batch-size", "2", "--sampling", "distinct", "--noise", "uniform", "--step-size", "auto"],
    ["--sampling", "epochs", "--schedule", "linear", "--step-size", "1e-4", "--momentum", "0"],
    ["--noise", "none"],
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme[1])
def test_every_scheme_is_that_of_the_library(scheme, capsys):
    options = ["--data", "synthetic", "--width", "4", "--steps", "3000", "--noise-std", "0.1", "--json"]
    assert cli.main(["sgd", *options, *scheme]) == 0
    numbers = json.loads(capsys.readouterr().out)
    given = dict(zip(scheme[::2], scheme[1::2], strict=True))
    batch = given.get("--batch-size", "1")
    data = mf.datasets.named("synthetic")
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    size = given.get("--step-size", "auto")
    run = mf.label_noise_sgd(
        man.network, data.X, data.y, man.random_point(rng=np.random.default_rng([0, 0])), n_steps=3000, n_runs=2,
        step_size="auto" if size == "auto" else float(size), batch_size="full" if batch == "full" else int(batch),
        noise=mf.LabelNoise(given.get("--noise", "rademacher"), 0.1), sampling=given.get("--sampling", "replacement"),
        momentum=float(given.get("--momentum", 0.0)), schedule=given.get("--schedule", "constant"),
    )  # fmt: skip
    assert numbers["loss"] == pytest.approx(run.loss.mean(), rel=1e-12)
    assert numbers["flow_time"] == pytest.approx(run.sharpness_flow_time, rel=1e-12)
    assert numbers["sharpness of SGD"] == pytest.approx(numbers["sharpness of the flow"], rel=0.2)


BAD_SCHEMES = [["--batch-size", "half"], ["--batch-size", "0"], ["--momentum", "1"], ["--momentum", "-0.1"],
               ["--sampling", "shuffled"], ["--step-size", "big"]]  # fmt: skip


@pytest.mark.parametrize("options", BAD_SCHEMES)
def test_bad_schemes_are_refused_by_the_parser(options, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["sgd", "--data", "synthetic", *options])
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_a_batch_that_does_not_fit_is_refused_in_one_line(capsys):
    assert cli.main(["sgd", "--data", "synthetic", "--batch-size", "11", "--sampling", "distinct"]) == 2
    assert "at most n = 10" in capsys.readouterr().err


# --- progress, Ctrl-C, kill -----------------------------------------------------------------------


def test_progress_is_a_line_on_a_terminal_and_nothing_elsewhere(cubic):
    assert ProgressLine.of(Terminal(False)) is None
    terminal = Terminal(True)
    assert isinstance(ProgressLine.of(terminal), ProgressLine)
    line = ProgressLine(terminal, seconds=0.0)
    mf.label_noise_sgd(cubic.network, cubic.X, cubic.y, cubic.theta, step_size=1e-4, n_steps=400, record_every=100,
                       callback=line)  # fmt: skip
    line.close()
    shown = terminal.written.split("\r\x1b[K")[1:-1]
    assert [part.split(" %")[0].strip() for part in shown] == ["25", "50", "75", "100"]
    assert "of 400 steps" in terminal.written
    assert "s left" in terminal.written
    assert "\n" not in terminal.written


OPTIONS = ["--data", "synthetic", "--width", "4", "--steps", "20000000", "--noise-std", "0.1"]  # seconds


def start(out, checkpoint=None):
    saved = [] if checkpoint is None else ["--checkpoint", checkpoint, "--checkpoint-seconds", "1e-9"]
    return start_command("sgd", *OPTIONS, "--out", out, *saved)


def recorded(out):
    with np.load(out / "sgd.npz") as archive:
        return dict(archive)


def test_killed_interrupted_and_resumed_runs_have_the_same_bits(tmp_path):
    assert cli.main(["sgd", *OPTIONS, "--out", str(tmp_path / "whole")]) == 0
    checkpoint, out = tmp_path / "run.npz", tmp_path / "out"
    killed = start(out, checkpoint)
    wait_until_written(checkpoint, killed)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    steps = int(np.load(checkpoint)["steps"][-1])
    assert steps < 20_000_000
    interrupted = start(tmp_path / "part", checkpoint)
    before = checkpoint.stat().st_mtime_ns
    while checkpoint.stat().st_mtime_ns == before and interrupted.poll() is None:
        time.sleep(0.01)
    os.kill(interrupted.pid, signal.SIGINT)
    text, message = interrupted.communicate(timeout=300)
    assert interrupted.returncode == 130
    assert "they are kept" in text
    assert f"the same command continues it from {checkpoint}" in message
    assert 0 < recorded(tmp_path / "part")["steps"] < 20_000_000
    resumed = start(out, checkpoint)
    assert resumed.communicate(timeout=300)[1] == ""
    for (name, found), wanted in zip(recorded(out).items(), recorded(tmp_path / "whole").values(), strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    assert not np.array_equal(recorded(tmp_path / "part")["theta"], recorded(out)["theta"])
