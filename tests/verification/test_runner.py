"""Exit codes, progress, interruption, processes."""

from dataclasses import replace

import pytest

import manifoldflow as mf
from manifoldflow.errors import InputError, UnreachableLabelsError
from verification import Case, VerificationReport, runner, verify
from verification.records import CaseReport, Verdict
from verification.report import page

from .conftest import small_case

CHEAP = ["S2", "S7"]


def report_of(*statuses: str, interrupted: bool = False) -> VerificationReport:
    verdicts = tuple(Verdict("S1", "t", "c", status, "r", (), (), "b", 0) for status in statuses)  # type: ignore[arg-type]
    return VerificationReport((CaseReport("c", {}, verdicts),), interrupted=interrupted)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (report_of("holds", "does not apply"), 0),
        (report_of("holds", "fails", "inconclusive"), 1),
        (report_of("holds", "inconclusive"), 3),
        (report_of("does not apply"), 3),
        (VerificationReport(()), 3),
        (report_of("fails", interrupted=True), 130),
    ],
)
def test_exit_codes(report: VerificationReport, code: int) -> None:
    assert report.exit_code == code


def test_a_line_for_each_verdict() -> None:
    lines: list[str] = []
    verify([small_case()], CHEAP, progress=lines.append)
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == ["flow to stationarity", "S2 holds", "S7 holds"]


def test_unknown_statements_are_refused() -> None:
    with pytest.raises(InputError, match="no statement S99"):
        verify([small_case()], ["S99"])


def test_one_unit_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        verify([small_case(width=1)], CHEAP)


def test_labels_out_of_reach_are_refused() -> None:
    data = mf.datasets.DataSet("far", [[1.0, 0.0]], [100.0], "made up")
    with pytest.raises(UnreachableLabelsError):
        verify([Case(data, "tanh(z)", 3)], CHEAP)


def test_interruption_keeps_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    check_case = runner.check_case

    def interrupted(case: Case, names: tuple[str, ...], progress: runner.Progress) -> CaseReport:
        if case.seed == 1:
            raise KeyboardInterrupt
        return check_case(case, names, progress)

    monkeypatch.setattr(runner, "check_case", interrupted)
    report = verify([small_case(seed=seed) for seed in (0, 1, 2)], CHEAP)
    assert (len(report.cases), report.exit_code) == (1, 130)


@pytest.mark.slow
def test_processes_give_the_same_bytes() -> None:
    cases = [small_case(), small_case("sinh(z)")]
    names = ["S1", "S2", "S7"]
    apart, together = verify(cases, names, processes=2, draw=True), verify(cases, names)
    assert all(case.plots for case in apart.cases)
    assert apart.formulas is not None
    assert page(apart) == page(together)
    assert replace(apart, seconds=0.0).to_json() == replace(together, seconds=0.0).to_json()


@pytest.mark.slow
def test_a_refusal_in_a_process_is_raised() -> None:
    data = mf.datasets.DataSet("far", [[1.0, 0.0]], [100.0], "made up")
    with pytest.raises(UnreachableLabelsError, match="out of reach"):
        verify([Case(data, "tanh(z)", 3), small_case()], CHEAP, processes=2)
