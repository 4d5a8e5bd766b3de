"""`manifoldflow flow`: its options are those of the library; killed runs and Ctrl-C lose nothing."""

import json
import os
import signal
import warnings

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import cli
from manifoldflow.cli import options
from manifoldflow.errors import IllConditionedWarning
from manifoldflow.flow import METHODS
from manifoldflow.notices import warn_in_one_line
from tests.manifoldflow.conftest import Terminal, start_command, wait_until_written
from verification import networks
from verification.commands.flow import METHOD, flow
from verification.evidence import RTOL, Evidence
from verification.progress import ProgressLine, reached
from verification.records import Case


def numbers_of(capsys, *given):
    assert cli.main(["flow", "--data", "synthetic", "--width", "4", "--json", *given]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_choices_and_defaults_are_those_of_the_library():
    assert cli.flow.METHODS == METHODS
    assert tuple(networks.NETWORKS) == options.NETWORKS
    given = cli.parser().parse_args(["flow"])
    assert (given.method, given.rtol, given.t_end) == (METHOD, RTOL, None)


def test_without_options_it_is_the_flow_of_verify(capsys):
    numbers = numbers_of(capsys)
    case = Case(mf.datasets.named("synthetic"), "z**3 + z", 4)
    found = Evidence(case).flow
    assert (numbers["status"], numbers["steps"]) == ("stationary", found.t.size - 1)
    assert numbers["sharpness_end"] == found.sharpness[-1]


@pytest.mark.parametrize("method", METHODS)
def test_options_are_handed_on(capsys, method):
    numbers = numbers_of(capsys, "--t-end", "0.01", "--rtol", "1e-6", "--method", method)
    data = mf.datasets.named("synthetic")
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    theta = man.random_point(rng=np.random.default_rng([0, 0]))
    found = mf.sharpness_flow(man, theta, (0.0, 0.01), rtol=1e-6, method=method)
    assert (numbers["status"], numbers["end_time"], numbers["steps"]) == ("reached_end", 0.01, found.t.size - 1)
    assert numbers["sharpness_end"] == found.sharpness[-1]


def test_bad_options_are_refused(capsys):
    assert cli.main(["flow", "--data", "synthetic", "--method", "explicit"]) == 2
    assert "give --t-end" in capsys.readouterr().err
    for given in (["--t-end", "0"], ["--rtol", "nan"], ["--method", "euler"], ["--network", "cubic"]):
        with pytest.raises(SystemExit):
            cli.main(["flow", *given])
        assert given[0] in capsys.readouterr().err


def test_the_checkpoint_of_other_arguments_is_refused(tmp_path, capsys):
    given = ["--checkpoint", str(tmp_path / "run.npz")]
    numbers_of(capsys, "--t-end", "0.01", *given)
    assert cli.main(["flow", "--data", "synthetic", "--width", "4", "--t-end", "0.02", *given]) == 2
    assert "t_span" in capsys.readouterr().err


def test_units_without_constants_have_a_flow_too(capsys):
    assert cli.main(["flow", "--data", "synthetic", "--activation", "c*tanh(z)", "--own", "c", "--t-end", "0.1"]) == 0
    assert "sv2/sv1" in capsys.readouterr().out


# --- progress, Ctrl-C, kill -----------------------------------------------------------------------


def test_progress_is_a_line_that_says_how_far_the_flow_is():
    case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    line = ProgressLine(Terminal(), seconds=0.0)
    flow(case, None, progress=line)
    line.close()
    shown = line._stream.written.split("\r\x1b[K")[1:-1]
    assert len(shown) >= 2
    steps = [int(part.split(" implicit steps")[0]) for part in shown]
    assert steps == sorted(set(steps))
    assert all("t = " in part and "|grad F| = " in part and "left" not in part for part in shown)
    assert "\n" not in line._stream.written


def test_what_has_no_line_is_refused():
    with pytest.raises(TypeError, match="no line for str"):
        reached("half way")


OPTIONS = ["--data", "digits", "--width", "10", "--t-end", "1e9"]  # some seconds, in many pieces


def start(out, checkpoint):
    saved = ["--checkpoint", checkpoint, "--checkpoint-seconds", "1e-9"]
    return start_command("flow", *OPTIONS, "--out", out, *saved)


def recorded(out):
    with np.load(out / "flow.npz") as archive:
        return dict(archive)


def test_killed_interrupted_and_resumed_flows_have_the_same_bits(tmp_path):
    checkpoint, out = tmp_path / "run.npz", tmp_path / "out"
    killed = start(out, checkpoint)
    wait_until_written(checkpoint, killed)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    written = checkpoint.stat().st_mtime_ns
    interrupted = start(tmp_path / "part", checkpoint)
    wait_until_written(checkpoint, interrupted, written)
    os.kill(interrupted.pid, signal.SIGINT)
    text, message = interrupted.communicate(timeout=300)
    assert interrupted.returncode == 130, message
    assert "what was computed is kept" in text
    assert f"the same command continues it from {checkpoint}" in message
    resumed = start(out, checkpoint)
    assert resumed.communicate(timeout=300)[1] == ""
    assert cli.main(["flow", *OPTIONS, "--out", str(tmp_path / "whole")]) == 0
    whole, part = recorded(tmp_path / "whole"), recorded(tmp_path / "part")
    for (name, found), wanted in zip(recorded(out).items(), whole.values(), strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    assert 0 < part["t"].size < whole["t"].size
    np.testing.assert_array_equal(part["theta"], whole["theta"][: part["t"].size])


def test_a_warning_is_one_line_of_the_command_and_names_no_file(tmp_path, python):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 5))
    X = np.vstack([X, X[0] + 1e-6 * rng.normal(size=5)])
    np.savez(tmp_path / "ill.npz", X=X, y=[0.1, 0.2, 0.3, 0.1 + 1e-7])
    given = ["flow", "--data", str(tmp_path / "ill.npz"), "--t-end", "1e-6", "--quiet"]
    code, _, err = python(
        f"import warnings; warnings.simplefilter('default'); from manifoldflow.cli import main; exit(main({given!r}))"
    )
    assert code == 0
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("manifoldflow flow: warning: J J^T has condition ")


def test_other_warnings_and_later_ones_are_printed_as_usual():
    usual = warnings.formatwarning
    restore = warn_in_one_line("manifoldflow flow")
    assert ".py:7: UserWarning" in warnings.formatwarning("of others", UserWarning, "flow.py", 7)
    assert ".py" not in warnings.formatwarning("ours", IllConditionedWarning, "flow.py", 7)
    restore()
    assert warnings.formatwarning is usual
