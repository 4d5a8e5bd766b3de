"""The study: it finds what is there, and refuses what is wrong by a little more than its intervals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import manifoldflow as mf
from manifoldflow import cli
from manifoldflow.checkpoint import content_hash
from manifoldflow.cli.options import command_line, make_cases
from verification import Case, Evidence
from verification.errors import NotStatedError
from verification.noise import Plan, fitted, simulate
from verification.study import Size, Study, study
from verification.study.clock import SCHEMES, clock_study
from verification.study.comparison import Comparison, Estimate, at_zero, mean, zero_weights
from verification.study.endpoints import end_study
from verification.study.large_steps import large_step_study, product_study
from verification.study.order import OrderResult, order_study
from verification.study.output import write
from verification.study.run import PARTS, _Runner, chosen_parts
from verification.study.sizes import ClockPlan, LargePlan
from verification.study.tables import tables

CLOCK = ClockPlan(runs=12, uses=15_000)
SLOW = [scheme for scheme in SCHEMES if scheme.momentum == 0.9]  # to forget: 15,000 uses need not decide
LARGE = LargePlan((0.2, 0.4), runs=8, uses=200_000, product_runs=60)
ORDER = Plan((0.4, 0.2, 0.1), runs=6, coarse_steps=30_000)
TINY = Size("tiny", ORDER, replace(CLOCK, uses=6_000), replace(LARGE, uses=60_000), end_steps=200_000)


@pytest.fixture(scope="module")
def evidence():
    return Evidence(Case(mf.datasets.synthetic(n=3, d=6, rng=1), "z**3 + z", width=5))


# --- statistics -----------------------------------------------------------------------------------


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    trials, family = 600, 5
    single, together = 0, 0
    for _ in range(trials):
        found = [mean(rng.standard_normal(6)) for _ in range(family)]
        single += sum(abs(item.value) <= item.half_width() for item in found)
        together += all(abs(item.value) <= item.half_width(family) for item in found)
    assert stats.binomtest(single, trials * family, 0.95).pvalue > 0.01
    assert stats.binomtest(together, trials, 0.95).pvalue > 0.01  # Bonferroni is nearly exact for independent ones


def test_the_extrapolated_interval_covers():
    rng = np.random.default_rng(1)
    x, trials = np.array([0.1, 0.05, 0.025]), 1000
    truth = 1.0 + 0.7 * x - 2.0 * x**2
    covered = 0
    for _ in range(trials):
        found = at_zero(x, [mean(value + sd * rng.standard_normal(8))
                            for value, sd in zip(truth, (0.02, 0.01, 0.01), strict=True)])  # fmt: skip
        covered += abs(found.value - 1.0) <= found.half_width()
    assert 0.925 < covered / trials < 0.98


def test_extrapolation_is_exact_for_polynomials_and_no_further():
    x = np.array([0.4, 0.2, 0.1])
    assert zero_weights(x) @ (3.0 - 2.0 * x + 5.0 * x**2) == pytest.approx(3.0, abs=1e-12)
    assert abs(zero_weights(x) @ x**3) > 1e-3


@pytest.mark.parametrize(("value", "status"), [(1.007, "holds"), (1.0085, "fails"), (0.9915, "fails")])
def test_a_comparison_is_judged_by_the_interval_of_its_family(value, status):
    estimate = Estimate(value, 0.002, 1e9)  # 99.9 %: +-0.0066; ten together: +-0.0078
    assert Comparison("x", estimate, 1.0, 8, 10).status == status
    assert Comparison("x", replace(estimate, value=1.007), 1.0, 8).status == "fails"


# --- clocks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated():
    """`simulate`, which remembers the runs: the controls misstate their clocks."""
    runs = {}

    def remembering(evidence, eta, noise, n_steps, n_runs, stream, **options):
        if stream not in runs:
            runs[stream] = simulate(evidence, eta, noise, n_steps, n_runs, stream, **options)
        return runs[stream]

    return remembering


@pytest.fixture(scope="module")
def clocks(evidence, simulated):
    return clock_study(evidence, CLOCK, simulated)


def test_every_clock_is_measured_and_within_its_interval(clocks):
    assert [row.scheme for row in clocks] == list(SCHEMES)
    assert {row.comparison.status for row in clocks if row.scheme not in SLOW} == {"holds"}
    assert {row.comparison.status for row in clocks if row.scheme in SLOW} <= {"holds", "inconclusive"}
    assert max(row.comparison.estimate.half_width() for row in clocks) < 0.06
    assert all(abs(row.remainder) < 1e-3 for row in clocks if row.scheme.corrected)


def test_the_speed_at_the_first_step_size_is_that_of_the_correction_and_not_the_limit(clocks):
    row = clocks[0]
    first = row.speeds[0]
    assert abs(first.value - row.corrected[0]) < 4.0 * first.error
    assert first.value - 1.0 > 6.0 * first.error


@pytest.mark.parametrize("factor", [1.2, 1.0 / 1.2])
def test_a_clock_wrong_by_a_fifth_is_refused(evidence, simulated, clocks, factor):
    def misstated(*arguments, **options):
        run = simulated(*arguments, **options)
        return replace(run, clock=factor * run.clock)

    rows = clock_study(evidence, CLOCK, misstated)
    assert {row.comparison.status for row in rows if row.scheme not in SLOW} == {"fails"}
    assert {row.comparison.status for row in rows if row.scheme in SLOW} <= {"fails", "inconclusive"}
    assert rows[0].comparison.estimate.value == pytest.approx(clocks[0].comparison.estimate.value / factor, rel=0.01)


def test_too_few_uses_are_inconclusive(evidence):
    rows = clock_study(evidence, replace(CLOCK, uses=60, runs=2), simulate)
    assert "inconclusive" in {row.comparison.status for row in rows}


def test_where_nothing_moves_there_is_no_clock():
    still = Evidence(Case(mf.datasets.DataSet("flat", np.eye(2), [1.0, 2.0], "made up"), "z**2", width=3))
    with pytest.raises(NotStatedError):
        clock_study(still, CLOCK, simulate)


# --- order ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def order(evidence):
    return order_study(evidence, ORDER, simulate)


def test_the_order_is_that_of_the_correction_which_tends_to_one(order):
    assert order.status == "holds"
    assert 1.0 < order.predicted < 1.2
    np.testing.assert_allclose(order.errors.bias, order.corrected, rtol=0.15)


def test_shuffled_step_sizes_fail(order, evidence):
    errors = order.errors
    assert errors.bias[0] > 2.0 * errors.bias[-1]
    shuffled = [np.outer(np.r_[1.1, 0.9, 1.0, 1.05, 0.95, 1.0], [bias]) for bias in errors.bias[[1, 2, 0]]]
    found = fitted(errors.step_sizes, shuffled, errors.steps, errors.horizon, errors.noise_std, errors.moved,
                   evidence.rng(300))  # fmt: skip
    assert OrderResult(order.case, 6, found, order.corrected, order.predicted).status == "fails"
    right = [np.outer(np.r_[1.1, 0.9, 1.0, 1.05, 0.95, 1.0], [bias]) for bias in errors.bias]
    found = fitted(errors.step_sizes, right, errors.steps, errors.horizon, errors.noise_std, errors.moved,
                   evidence.rng(300))  # fmt: skip
    assert OrderResult(order.case, 6, found, order.corrected, order.predicted).status == "holds"


def test_a_wide_interval_decides_nothing(order):
    wide = replace(order.errors, order_interval=(0.5, 1.5))
    assert replace(order, errors=wide).status == "inconclusive"


# --- large steps ----------------------------------------------------------------------------------


def test_large_steps_are_as_fast_as_the_correction_says(evidence):
    rows = large_step_study(evidence, LARGE, simulate)
    assert len(rows) == 8
    assert {row.comparison.status for row in rows} == {"holds"}
    for row in rows:
        leading = replace(row.comparison, predicted=1.0)
        assert (leading.status, row.missed > 5.0) == ("fails", True)


def test_the_product_of_two_parameters_misses_the_leading_order():
    rows = product_study(LARGE, 0)
    assert {row.comparison.status for row in rows} == {"holds"}
    assert rows[0].leading == pytest.approx(-2.999, abs=1e-3)
    assert rows[0].comparison.predicted == pytest.approx(-3.918, abs=1e-3)
    assert {replace(row.comparison, predicted=row.leading).status for row in rows} == {"fails"}


# --- ends -----------------------------------------------------------------------------------------


def test_ends_have_rank_one_where_the_assumptions_hold_and_not_with_tanh():
    # One sample a step is a third as fast as the full batch and not there yet: the control of its check.
    found = end_study(4_000_000, 0, simulate)
    assert [check.status for run in found for check in run.checks] == ["fails", "holds", "holds", "holds"]
    ratio = found[0].pulled_back[:, 1] / found[0].pulled_back[:, 0]
    assert 0.01 < ratio[-1] < 0.5 * ratio[0]
    assert found[2].pulled_back[-1, 1] > 0.02 * found[2].pulled_back[-1, 0]
    assert found[2].sharpness[-1] < found[2].rank_one_sharpness


# --- the driver -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(evidence, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    found = study([evidence.case], TINY, runs=folder / "runs")
    return found, folder


def test_everything_is_written_and_the_numbers_are_those_of_the_study(whole):
    found, folder = whole
    page, numbers = write(found, folder, "manifoldflow study")
    names = {path.name for path in folder.iterdir()}
    made = tables(found)
    assert {f"{table.name}.{kind}" for table in made for kind in ("md", "csv")} | {"clock.svg", "large.svg"} <= names
    assert {table.name for table in made} == {"order", "clock", "large", "product", "ends"}
    content = json.loads(numbers.read_text(encoding="utf-8"))
    assert content["size"]["clock"]["uses"] == 6_000
    row = next(iter(content["clock"].values()))[0]
    assert row["comparison"]["estimate"]["value"] == next(iter(found.clock.values()))[0].comparison.estimate.value
    assert row["comparison"]["status"] == "holds"
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == 6
    assert "http" not in text.replace("http://www.w3.org", "")


def test_tables_are_rectangular(whole):
    for table in tables(whole[0]):
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert len(table.markdown().splitlines()) == len(table.rows) + 2


def test_an_interrupted_study_is_continued_with_the_same_numbers(whole, evidence, tmp_path):
    found, _ = whole

    class Keyboard:
        """Ctrl-C at the so-maniest look."""

        def __init__(self, at):
            self.left = at

        def __call__(self, progress):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    part = study([evidence.case], TINY, ("order",), tmp_path, progress=Keyboard(2))
    assert (part.interrupted, part.exit_code, part.order) == (True, 130, ())
    assert list(tmp_path.glob("*.npz"))
    again = study([evidence.case], TINY, ("order",), tmp_path)
    np.testing.assert_array_equal(again.order[0].errors.bias, found.order[0].errors.bias)

    def unexpected(progress):
        pytest.fail("Nothing is left to simulate.")

    finished = study([evidence.case], TINY, ("order",), tmp_path, progress=unexpected)
    np.testing.assert_array_equal(finished.order[0].errors.bias, found.order[0].errors.bias)


def test_exit_codes():
    good, bad = Estimate(1.0, 0.001, 9.0), Estimate(1.1, 0.001, 9.0)

    def rows(*estimates):
        return {"case": tuple(type("Row", (), {"comparison": Comparison("x", item, 1.0, 2)}) for item in estimates)}

    assert Study(TINY, 0).exit_code == 3
    assert Study(TINY, 0, clock=rows(good)).exit_code == 0
    assert Study(TINY, 0, clock=rows(good, Estimate(1.0, 1.0, 9.0))).exit_code == 3
    assert Study(TINY, 0, clock=rows(good), large=rows(bad)).exit_code == 1
    assert Study(TINY, 0, clock=rows(bad), interrupted=True).exit_code == 130


def test_a_case_without_motion_is_left_out_with_its_reason():
    still = Case(mf.datasets.DataSet("flat", np.eye(2), [1.0, 2.0], "made up"), "z**2", width=3)
    found = study([still], TINY, ("order", "clock", "large"))
    assert set(found.skipped) == {"order, flat, z**2", "clock, flat, z**2", "large, flat, z**2"}
    assert len(found.product) == 3


def test_a_case_without_a_start_is_refused(tmp_path, capsys):
    options = ["--data", "synthetic", "--activation", "log(1 + exp(z))", "--out", str(tmp_path / "study"), "--quiet"]
    assert cli.main(["study", *options]) == 2
    assert "out of reach" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_parts_are_named(capsys, tmp_path):
    assert chosen_parts(None) == PARTS
    assert cli.main(["study", "--data", "synthetic", "--parts", "clocks", "--out", str(tmp_path)]) == 2
    assert "no part clocks; there are order, clock, large, ends" in capsys.readouterr().err


def test_other_units_have_other_checkpoints():
    """And those of what could be asked before have the names they had."""
    case = Case(mf.datasets.synthetic(n=3, d=6, rng=1), "z**3 + z", width=5)
    others = [replace(case, output_weights="signed"), replace(case, output_weights="trained"),
              replace(case, activation="c*tanh(z)"), replace(case, activation="c*tanh(z)", own=("c",))]  # fmt: skip
    runner = _Runner(None, TINY, lambda line: None, None)
    keys = [runner._key(Evidence(one)) for one in (case, *others)]
    assert len(set(keys)) == len(keys)
    problem = case.data.X, case.data.y, case.activation, case.width, case.seed, repr(TINY)
    assert keys[0] == content_hash(*problem)[:12]


def test_the_study_takes_own_parameters_and_weights():
    given = cli.parser().parse_args(["study", "--own", "c", "--activation", "c*z", "--output-weights", "signed"])
    (case, _) = make_cases(given, ("synthetic", "digits"))
    assert (case.own, case.output_weights, case.name) == (("c",), "signed", "synthetic, c*z, own c, signed weights")
    assert command_line(given, ()) == (
        "manifoldflow study --activation='c*z' --own=c --output-weights=signed --width=10 --seed=0"
    )
