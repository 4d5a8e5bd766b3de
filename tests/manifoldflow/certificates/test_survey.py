"""The survey of all certificates, their records, and what `manifoldflow inspect` makes of them."""

import json
import re
import sys

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import cli
from manifoldflow.certificates import Certificate, Enclosure, Interval, survey
from manifoldflow.certificates import survey as survey_function
from manifoldflow.certificates.record import above, below, smallest
from tests.manifoldflow.conftest import problem


def test_everything_is_proved_where_the_theorems_hold():
    case = problem("cubic")
    found = survey(case.man, case.theta)
    assert all(certificate.proved for certificate in found.certificates)
    assert found.constants.start_radius == found.point.radius > 0.0
    assert found.hessian is not None
    assert found.hessian.bound > 0.0
    assert found.counterexamples == ()


def test_what_fails_comes_with_counterexamples():
    case = problem("tanh")
    found = survey(case.man, case.theta)
    assert found.constants.certificate("A1").verdict == "refuted"
    assert found.hessian is None
    assert [found.name for found in found.counterexamples] == ["rank-one maximum", "disagreeing critical point"]
    assert all(certificate.reason for certificate in found.certificates if not certificate.proved)


def test_signed_weights_and_dependent_samples():
    signed, wide = (survey(problem(name).man, problem(name).theta) for name in ("signed", "wide_data"))
    assert signed.flattest.certificate.proved
    assert wide.constants.certificate("A2").refuted
    assert wide.point.certificate.proved
    assert not wide.flattest.certificate.proved


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.CancellationWarning")  # what makes it hard
@pytest.mark.parametrize("missing", [True, False])
def test_arb_is_used_where_it_decides_and_named_where_it_is_missing(missing, monkeypatch):
    import manifoldflow.certificates.survey  # noqa: F401 (the module, not the function of its name)

    man = mf.ZeroLossManifold(
        mf.TwoLayerNetwork("(z + 1e3)**3 - 3e3*z**2 - (3e6 - 1e-10)*z - 1e9", width=2), np.eye(2), [0.5, 0.2]
    )
    if missing:
        for name in ("survey", "constants"):
            monkeypatch.setattr(sys.modules[f"manifoldflow.certificates.{name}"], "has_arb", lambda: False)
    found = survey_function(man, np.cbrt([[0.25, 0.1], [0.25, 0.1]])).constants.certificate("A1")
    assert found.proved != missing
    assert ("pip install 'manifoldflow[certify]'" in found.reason) == missing


def test_records_print_what_they_claim():
    proved = Certificate("A2", True, "mu > 0", "", "float64 intervals")
    assert proved.line == "A2: proved (float64 intervals): mu > 0"
    failed = Certificate("A2", False, "mu > 0", "n > d", "float64 intervals", refuted=True)
    assert failed.line == "A2: refuted (float64 intervals): mu > 0: n > d"
    assert failed.verdict == "refuted"


@pytest.mark.parametrize("value", [0.1, 1 / 3, -1e-300, 123456789.123, 5e-324, 1e22, -0.0, 6.0])
def test_decimals_are_rounded_outward(value):
    from fractions import Fraction

    for digits in (3, 7, 17):
        assert Fraction(below(value, digits)) <= Fraction(value) <= Fraction(above(value, digits))
    assert below(-np.inf) == "-inf"


def test_enclosures():
    found = smallest(Interval(np.array([1.0, 2.0]), np.array([3.0, 2.5])))
    assert (found.low, found.high) == (1.0, 2.5)
    assert found.is_positive
    assert found.contains(1.0)
    assert not found.contains(2.6)
    assert str(Enclosure(-np.inf, 0.0)) == "[-inf, 0]"


def data_file(tmp_path, labels):
    rng = np.random.default_rng(0)
    path = tmp_path / "my.npz"
    np.savez(path, X=rng.normal(size=(len(labels), 6)), y=np.array(labels))
    return str(path)


def inspected(tmp_path, capsys, formula, labels=(0.9, 0.4, -0.3), *more):
    code = cli.main(["inspect", "--data", data_file(tmp_path, labels), "--activation", formula, "--width", "3", *more])
    assert code == 0
    return capsys.readouterr().out


def test_inspect_proves(tmp_path, capsys):
    text = inspected(tmp_path, capsys, "z**3 + z")
    assert "z for ever" in text
    assert re.search(r"^A1 +proved", text, re.MULTILINE)
    assert re.search(r"^zero-loss point +proved", text, re.MULTILINE)
    assert re.search(r"^flattest point +proved", text, re.MULTILINE)
    assert len(re.findall(r"^S\d+ .*  applies", text, re.MULTILINE)) == 14


def test_inspect_refutes_and_says_why(tmp_path, capsys):
    text = inspected(tmp_path, capsys, "tanh(z)")
    assert re.search(r"^A1 +refuted", text, re.MULTILINE)
    assert "phi''' <= -" in text
    assert "rank-one maximum" in text
    assert "does not apply: A1" in text
    assert re.findall(r"^(S\d+) .*  applies", text, re.MULTILINE) == ["S11", "S12", "S14"]


def test_inspect_does_not_claim_more_than_the_start(tmp_path, capsys):
    """A1 holds where softplus starts, but nothing keeps the flow there."""
    text = inspected(tmp_path, capsys, "softplus(z)", (1.0, 1.1, 1.3))
    assert re.search(r"^A1 +not proved .*nothing confines z", text, re.MULTILINE)
    assert "not proved to apply: A1" in text
    assert "z at the start" in text


def test_inspect_prints_json(tmp_path, capsys):
    content = json.loads(inspected(tmp_path, capsys, "z**3 + z", (0.9, 0.4), "--json"))
    low, high = content["constants"]["rho1"]
    assert low <= 1.0 <= high
    assert content["assumptions"]["A1"] == {**content["assumptions"]["A1"], "met": True, "verdict": "proved"}
    assert {"name", "verdict", "claim", "reason", "arithmetic"} == set(content["certificates"][0])
    assert content["statements"]["S13"]["applies"]
