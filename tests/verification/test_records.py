"""The rules by which numbers become verdicts."""

import math
from dataclasses import replace

import pytest

from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.records import Check, Hypothesis, Measurement, Statement, Status


def check(
    measured: float, relation: str = "<=", bound: float = 1.0, tolerance: float = 0.0, error: float = 0.0
) -> Check:
    return Check("a number", measured, relation, bound, tolerance, "test", 1, error)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (check(1.0), "holds"),
        (check(1.0 + 1e-9), "fails"),
        (check(1.0 + 1e-9, tolerance=1e-8), "holds"),
        (check(0.5, ">="), "fails"),
        (check(2.0, ">="), "holds"),
        (check(math.inf, ">="), "holds"),
        (check(-math.inf, ">="), "inconclusive"),
        (check(1.1, "==", tolerance=0.2), "holds"),
        (check(0.7, "==", tolerance=0.2), "fails"),
        (check(0.7, "==", tolerance=0.2, error=0.5), "inconclusive"),
        (check(1.0, "==", tolerance=0.2, error=5.0), "inconclusive"),
        (check(math.nan), "inconclusive"),
        (replace(check(0.9, bound=0.0, tolerance=2.0), resolution=0.01), "inconclusive"),
        (replace(check(0.009, bound=0.0, tolerance=2.0), resolution=0.01), "holds"),
        (replace(check(2.1, bound=0.0, tolerance=2.0), resolution=0.01), "fails"),
    ],
)
def test_status_of_a_check(found: Check, status: Status) -> None:
    assert found.status == status


@pytest.mark.parametrize(
    ("found", "margin"),
    [
        (check(0.75), 0.25),
        (check(3.0, ">=", 2.0), 0.5),
        (check(0.05, "==", 0.0, 0.2), 0.75),
        (check(1e-9, bound=0.0), -1e-9),
    ],
)
def test_margins_are_relative_and_signed(found: Check, margin: float) -> None:
    assert found.margin == pytest.approx(margin)


def verdict_of(good: Evidence, measured: float, met: bool) -> Status:
    assumption = Hypothesis("A9", met, "a = 1")
    return _statement(lambda _: Measurement((check(0.0), check(measured))), assumption).check(good).status


def _statement(measure: object, assumption: Hypothesis) -> Statement:
    return Statement("S0", "test", "x", "here", (lambda _: assumption,), measure, "nothing")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("measured", "met", "status"),
    [
        (0.5, True, "holds"),
        (1.5, True, "fails"),
        (math.nan, True, "inconclusive"),
        (0.5, False, "does not apply"),
        (1.5, False, "fails"),
        (math.nan, False, "does not apply"),
    ],
)
def test_verdict_follows_from_checks_and_hypotheses(good: Evidence, measured: float, met: bool, status: Status) -> None:
    assert verdict_of(good, measured, met) == status


def test_what_fails_on_a_problem_set_apart_is_no_counterexample(good: Evidence) -> None:
    apart = Hypothesis("A9", False, "a = 1", sets_apart=True)
    found = _statement(lambda _: Measurement((check(1.5),)), apart).check(good)
    assert found.status == "does not apply"
    assert "A9 fails (a = 1)" in found.reason
    assert "which the statement does not exclude" in found.reason


def test_nothing_is_measured_without_what_is_needed(good: Evidence) -> None:
    asked = []

    def measure(evidence: Evidence) -> Measurement:
        asked.append(evidence)
        return Measurement((check(0.0),))

    for met, status in ((False, "inconclusive"), (True, "holds")):
        found = _statement(measure, Hypothesis("A9", met, "M may be empty", needed=True)).check(good)
        assert (found.status, len(asked)) == (status, int(met)), found
    lacking = _statement(measure, Hypothesis("A9", False, "M may be empty", needed=True)).check(good)
    assert lacking.reason == "M may be empty"


def test_the_failing_check_comes_first(good: Evidence) -> None:
    found = _statement(lambda _: Measurement((check(0.0), check(7.0))), Hypothesis("A9", False, "a = 1")).check(good)
    assert found.decisive is not None
    assert found.decisive.measured == 7.0
    assert "A9 fails (a = 1)" in found.reason


def test_a_conclusion_that_cannot_be_stated_does_not_apply(good: Evidence) -> None:
    def measure(evidence: Evidence) -> Measurement:
        raise NotStatedError("there is no minimum.")

    found = _statement(measure, Hypothesis("A9", True, "")).check(good)
    assert (found.status, found.reason, found.decisive) == ("does not apply", "There is no minimum.", None)
