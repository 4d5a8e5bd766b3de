"""Every statement holds where it should, and has a control where it must not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import manifoldflow as mf
from verification import STATEMENTS, Case, Evidence, Verdict
from verification.noise import relaxations
from verification.statements import dependent_samples, distance

Judge = Callable[[str, Evidence], Verdict]
NAMES = [statement.id for statement in STATEMENTS]
# What is not about A1, or makes a problem of its own from the case.
BEYOND = {"S11", "S12", "S14"}


@pytest.mark.parametrize("name", NAMES)
def test_holds_where_its_hypotheses_are_met(judge: Judge, good: Evidence, name: str) -> None:
    verdict = judge(name, good)
    assert verdict.status == "holds", verdict
    assert all(hypothesis.met for hypothesis in verdict.hypotheses)
    assert verdict.checks
    assert all(check.status == "holds" and check.margin >= 0.0 and check.sample_size > 0 for check in verdict.checks)
    assert all(check.tolerance_reason for check in verdict.checks)
    assert verdict.blind_spot


# --- controls: an activation, a data set -----------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BEYOND])
def test_tanh_passes_nothing(judge: Judge, flat: Evidence, name: str) -> None:
    verdict = judge(name, flat)
    assert verdict.status in ("fails", "does not apply"), verdict
    assert "A1" in verdict.reason


@pytest.mark.parametrize("name", ["S1", "S2", "S8", "S13"])
def test_what_tanh_contradicts_fails(judge: Judge, flat: Evidence, name: str) -> None:
    assert judge(name, flat).status == "fails"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"S7"} | BEYOND])
def test_dependent_samples_pass_nothing_that_needs_independence(judge: Judge, dependent: Evidence, name: str) -> None:
    verdict = judge(name, dependent)
    assert verdict.status == "does not apply", verdict
    assert "A2 fails" in verdict.reason


# --- controls: one broken constant, formula or result each ----------------------------------------


def scaled(evidence: Evidence, **factors: float) -> Any:
    """The constants, some of them multiplied."""
    found = evidence.constants
    return replace(found, **{name: getattr(found, name) * factor for name, factor in factors.items()})


def faster(evidence: Evidence, factor: float) -> Any:
    """The flow with a wrong clock."""
    flow = evidence.flow
    segments = [replace(segment, t=segment.t * factor) for segment in flow.path.segments]
    return replace(flow, t=flow.t * factor, path=replace(flow.path, segments=segments))


def wrong_end(evidence: Evidence) -> dict[str, Any]:
    features = evidence.features.copy()
    features[-1, 0] *= 1.001
    return {"features": features}


def wrong_rank_one_point(evidence: Evidence) -> dict[str, Any]:
    return {"minimum": replace(evidence.minimum, theta=evidence.flow.theta[evidence.flow.t.size // 2])}


def gradient_too_small(evidence: Evidence) -> dict[str, Any]:
    points = tuple(replace(point, gradient_norm=0.3 * point.gradient_norm) for point in evidence.random_points)
    flow = tuple(replace(point, gradient_norm=0.1 * point.gradient_norm) for point in evidence.flow_points)
    return {"random_points": points, "flow_points": flow}


def wrong_minimum(factor: float) -> Callable[[Evidence], dict[str, Any]]:
    return lambda evidence: {"minimum": replace(evidence.minimum, sharpness=evidence.minimum.sharpness * factor)}


def constants(**factors: float) -> Callable[[Evidence], dict[str, Any]]:
    return lambda evidence: {"constants": scaled(evidence, **factors)}


def points_off_region(evidence: Evidence) -> dict[str, Any]:
    """The gradient of S3's points is not what it is said to be."""
    points = tuple(replace(item, smallest=0.5 * item.smallest) for item in evidence.region)
    return {"region": points}


def slow_decay(evidence: Evidence) -> dict[str, Any]:
    return {"flow": faster(evidence, 10.0)}


def leaving(evidence: Evidence) -> dict[str, Any]:
    norms = evidence.flow.gradient_norm.copy()
    norms[-3] = 2.0 * evidence.constants.radius(2.0)
    return {"flow": replace(evidence.flow, gradient_norm=norms)}


def lost_gradient(evidence: Evidence) -> dict[str, Any]:
    """No constants that could be proved make up for it."""
    points = tuple(replace(point, gradient_norm=1e-3 * point.gradient_norm) for point in evidence.random_points)
    return {"random_points": points}


def grid_that_missed_a_dip(evidence: Evidence) -> dict[str, Any]:
    """Constants of the points as a grid gives them that saw nothing of a dip: 1000 times what they are."""

    def stretch(point: Any) -> Any:
        found = point.constants
        return replace(point, constants=replace(found, rho1=1e3 * found.rho1, rho2=1e3 * found.rho2))

    return {
        "random_points": tuple(map(stretch, evidence.random_points)),
        "flow_points": tuple(map(stretch, evidence.flow_points)),
    }


def narrow_interval(evidence: Evidence) -> dict[str, Any]:
    largest = float(np.abs(evidence.features).max())
    return {"constants": replace(evidence.constants, interval=(-0.9 * largest, 0.9 * largest))}


def rising(evidence: Evidence) -> dict[str, Any]:
    sharpness = evidence.flow.sharpness.copy()
    sharpness[5] = sharpness[4] * (1.0 + 1e-6)
    return {"flow": replace(evidence.flow, sharpness=sharpness)}


def off_the_manifold(evidence: Evidence) -> dict[str, Any]:
    residual = evidence.flow.residual.copy()
    residual[7] = 1e-9
    return {"flow": replace(evidence.flow, residual=residual)}


def different_units(evidence: Evidence) -> dict[str, Any]:
    W = evidence.flow.W.copy()
    W[-1, 0] *= 1.0 + 1e-6
    return {"flow": replace(evidence.flow, W=W)}


def wrong_clock(evidence: Evidence) -> dict[str, Any]:
    """The flow of another noise level: SGD does not follow it, however small the step size."""
    copy = evidence.replaced(flow=faster(evidence, 1.5))
    copy.__dict__.pop("noise")
    return {"flow": copy.flow, "noise": copy.noise}


def broken(problem: str, breakage: Callable[[Evidence], dict[str, Any]]) -> Callable[[Evidence], dict[str, Any]]:
    """Something broken in the problem that a statement makes from the case."""

    def made(evidence: Evidence) -> dict[str, Any]:
        found = getattr(evidence, problem)
        return {problem: found.replaced(**breakage(found))}

    return made


def one_unit_off(evidence: Evidence) -> dict[str, Any]:
    """Features that keep a common level a phi'' no more."""
    Z = evidence.minimum.Z.copy()
    Z[0] *= 1.001
    return {"minimum": replace(evidence.minimum, Z=Z)}


def other_labels(evidence: Evidence) -> dict[str, Any]:
    """The rank-one point of other labels: it is not the point that the curvature is measured at."""
    return {"minimum": replace(evidence.minimum, theta=evidence.start)}


def saddle_for_a_minimum(evidence: Evidence) -> dict[str, Any]:
    found = OptimizeResult(evidence.flattest)
    found["x"] = evidence.flow.theta[0]
    return {"flattest": found}


def leading_order(evidence: Evidence) -> dict[str, Any]:
    """Small steps' prediction, 1, where S14 has more."""
    rows = evidence.large_steps
    return {"large_steps": tuple(replace(row, comparison=replace(row.comparison, predicted=1.0)) for row in rows)}


def half_the_correction(evidence: Evidence) -> dict[str, Any]:
    def halved(row: Any) -> Any:
        found = row.comparison
        return replace(row, comparison=replace(found, predicted=0.5 * (1.0 + found.predicted)))

    return {"large_steps": tuple(map(halved, evidence.large_steps))}


def speed_off_by_three_per_cent(evidence: Evidence) -> dict[str, Any]:
    def off(row: Any) -> Any:
        return replace(row, comparison=replace(row.comparison, predicted=1.03 * row.comparison.predicted))

    return {"large_steps": tuple(map(off, evidence.large_steps))}


CONTROLS = [
    ("S1", wrong_end),
    ("S1", wrong_rank_one_point),
    ("S1", gradient_too_small),
    ("S2", wrong_minimum(1.0 + 1e-8)),
    ("S2", wrong_minimum(1.0 - 1e-8)),
    ("S3", constants(rho2=3.0)),
    ("S3", constants(mu=4.0)),
    ("S3", points_off_region),
    ("S4", constants(rho2=5.0)),
    ("S4", slow_decay),
    ("S4", leaving),
    ("S5", constants(rho2=5.0)),
    ("S5", wrong_minimum(0.99)),
    ("S6", lost_gradient),
    ("S7", narrow_interval),
    ("S7", constants(sharpness=0.01)),
    ("S7", rising),
    ("S8", off_the_manifold),
    ("S8", different_units),
    ("S9", wrong_clock),
    ("S10", broken("signed", one_unit_off)),
    ("S10", broken("signed", wrong_end)),
    ("S10", broken("signed", wrong_minimum(1.0 + 1e-8))),
    ("S10", broken("signed", constants(weight=4.0))),
    ("S11", broken("outside", other_labels)),
    ("S12", broken("dependent", saddle_for_a_minimum)),
    ("S12", broken("dependent", off_the_manifold)),
    ("S13", constants(rho1=30.0)),
    ("S13", wrong_minimum(0.9)),
    ("S13", lost_gradient),
    ("S14", leading_order),
    ("S14", half_the_correction),
    ("S14", speed_off_by_three_per_cent),
]


@pytest.mark.parametrize(("name", "breakage"), CONTROLS, ids=[f"{name}-{k}" for k, (name, _) in enumerate(CONTROLS)])
def test_a_broken_result_is_noticed(
    judge: Judge, good: Evidence, name: str, breakage: Callable[[Evidence], dict[str, Any]]
) -> None:
    verdict = judge(name, good.replaced(**breakage(good)))
    assert verdict.status == "fails", verdict


def test_every_statement_has_a_control() -> None:
    assert {name for name, _ in CONTROLS} == set(NAMES)


@pytest.mark.parametrize("name", ["S6", "S13"])
def test_what_a_grid_missed_is_no_violation(judge: Judge, good: Evidence, name: str) -> None:
    """Where the constants of a grid contradict the statement, proved ones decide."""
    broken = good.replaced(**grid_that_missed_a_dip(good))
    exceeded = [distance.share(broken, point) > 1.0 for point in broken.covered_points]
    assert any(exceeded)
    verdict = judge(name, broken)
    assert verdict.status == "holds", verdict
    assert not any("left out" in note for note in verdict.notes), verdict


@pytest.mark.parametrize("name", ["S6", "S13"])
def test_points_at_which_nothing_is_proved_are_left_out(judge: Judge, good: Evidence, name: str) -> None:
    """phi''' < 0 in a dip that is 1e-5 wide, which only some intervals of the random points reach, the start's not."""
    dip = Evidence(replace(good.case, activation="z**3 + z + 1e-9*erf(1e5*(z - 3.1234567))"))
    missed = grid_that_missed_a_dip(good)["random_points"][6:9]
    reached = [point.constants.interval[1] > 3.1234567 for point in missed]
    verdict = judge(name, good.replaced(manifold=dip.manifold, random_points=missed))
    assert verdict.status != "fails", verdict
    assert reached == [True, False, True]
    assert any("2 points were left out" in note for note in verdict.notes)


@pytest.mark.parametrize("name", ["S6", "S13"])
def test_a_pole_makes_nothing_fail(judge: Judge, name: str) -> None:
    """log(z) + z**3: the grid of a random point reaches across the pole at 0, or ends at it."""
    data = mf.datasets.synthetic(n=4, d=8, rng=1)
    evidence = Evidence(Case(mf.datasets.DataSet("above", data.X, 3.0 + np.abs(data.y), "made up"), "log(z) + z**3", 5))
    assert any(point.constants.interval[0] < 0.0 for point in evidence.random_points)
    assert judge(name, evidence).status == "holds"


# --- what cannot be decided ------------------------------------------------------------------------


def on_labels(activation: str, y: list[float]) -> Evidence:
    data = mf.datasets.synthetic(n=len(y), d=5, rng=5)
    return Evidence(Case(mf.datasets.DataSet("labels", data.X, np.array(y), "made up"), activation, 4))


def test_nothing_is_said_where_m_may_be_empty(judge: Judge) -> None:
    """exp > 0 never adds up to 0, however small |f - y| becomes far out."""
    evidence = on_labels("exp(z)", [0.0, 0.0])
    for name in ("S1", "S8", "S12"):
        verdict = judge(name, evidence)
        assert verdict.status == "inconclusive", verdict
        assert "M may be empty" in verdict.reason
        assert not verdict.checks


def test_an_assumption_that_only_a_grid_has_seen_makes_no_counterexample(judge: Judge) -> None:
    """tan: the units end on two sides of a pole, which the grid has missed; S1 does not fail, A1 does."""
    evidence = on_labels("tan(z)", [1.5, -2.0])
    verdict = judge("S1", evidence.replaced(features=evidence.features + np.pi * (np.arange(4) > 1)[:, None]))
    assert verdict.unproved == ("A1",)
    assert any(check.status == "fails" for check in verdict.checks)
    assert verdict.status == "inconclusive", verdict


def test_what_is_not_proved_is_said_where_a_statement_holds(judge: Judge) -> None:
    verdict = judge("S2", on_labels("z**3 + 10*z + atan(tan(z))", [1.5, -2.0]))
    assert verdict.status == "holds", verdict
    assert "not proved: A1" in verdict.reason


def test_rounding_of_a_feature_that_is_not_small_is_no_violation(judge: Judge) -> None:
    """At z = pi, where phi'' = 0, the gradient is what the rounding of z makes of it."""
    checks = judge("S1", on_labels("z + sin(z)/2", [0.0, 0.0])).checks
    [found] = [check for check in checks if "spread of phi" in check.quantity]
    assert found.status == "holds", found


def test_a_minimum_of_nought_is_known_to_rounding(judge: Judge) -> None:
    """z^3 with labels 0: F* = 0, and bisection and flow both come near it."""
    assert judge("S2", on_labels("z**3", [0.0, 0.0])).status == "does not apply"


def test_a_rank_is_told_as_far_as_the_minimum_is_known(good: Evidence) -> None:
    problem = good.dependent
    found = OptimizeResult(problem.flattest)
    found["gradient_norm"] = found["smallest_curvature"]
    assert dependent_samples.rank_above_one(problem.replaced(flattest=found)).status == "inconclusive"
    found = OptimizeResult(problem.flattest)
    found["x"] = np.outer(np.arange(1.0, 6.0), problem.flattest.x[0])
    assert dependent_samples.rank_above_one(problem.replaced(flattest=found)).status == "fails"


def test_a_solver_that_did_not_finish_is_inconclusive(judge: Judge, good: Evidence) -> None:
    found = OptimizeResult(good.dependent.flattest)
    found["success"] = False
    verdict = judge("S12", good.replaced(dependent=good.dependent.replaced(flattest=found)))
    assert verdict.status == "inconclusive", verdict
    assert "steps from the start end at |grad F| =" in verdict.reason
    assert "Try another seed" in verdict.reason


def test_an_unfinished_flow_is_inconclusive(judge: Judge, good: Evidence) -> None:
    flow = replace(good.flow, status="step_limit", message="max_steps was reached.")
    for name in ("S1", "S2", "S8"):
        verdict = judge(name, good.replaced(flow=flow))
        assert verdict.status == "inconclusive", verdict
        assert "max_steps" in verdict.reason


def test_noise_larger_than_the_effect_is_inconclusive(judge: Judge, good: Evidence) -> None:
    errors = replace(good.noise.errors, order_interval=(-1.0, 3.0))
    assert judge("S9", good.replaced(noise=replace(good.noise, errors=errors))).status == "inconclusive"


def test_runs_shorter_than_the_slowest_relaxation_are_inconclusive(judge: Judge, good: Evidence) -> None:
    errors = good.noise.errors
    times = relaxations(good, errors)
    assert times > 1.0
    # Without noise the slowest residual falls so.
    slowest = np.linalg.eigh(good.manifold.jacobian_gram(good.start))[1][:, 0]
    away = np.linalg.lstsq(good.manifold.jacobian(good.start).reshape(len(slowest), -1), 1e-7 * slowest)[0]
    run = mf.label_noise_sgd(
        good.manifold.network, good.case.data.X, good.case.data.y, good.start + away.reshape(good.start.shape),
        step_size=errors.step_sizes[0], noise=mf.LabelNoise(std=0.0), n_steps=int(errors.steps[0] / times), rng=0,
    )  # fmt: skip
    assert slowest @ good.manifold.residual(run.theta[0]) == pytest.approx(1e-7 / np.e, rel=0.2)
    for share, status in ((1.01, "holds"), (0.99, "inconclusive")):
        short = replace(errors, steps=errors.steps * share / times)
        verdict = judge("S9", good.replaced(noise=replace(good.noise, errors=short)))
        assert verdict.status == status, verdict
    assert "relaxes" in verdict.reason


def test_a_point_with_negative_curvature_is_shown(judge: Judge) -> None:
    from .conftest import small_case

    notes = judge("S3", Evidence(small_case(n=6, d=6, width=8))).notes
    assert any("lambda_min" in note or "No negative" in note for note in notes)


def test_only_results_can_be_replaced(good: Evidence) -> None:
    with pytest.raises(ValueError, match="no results named flwo"):
        good.replaced(flwo=None)


# --- assumptions are examined where the points are ----------------------------------------------------


def positive(activation: str, width: int = 5) -> Evidence:
    """Labels 1, which activations of one sign reach."""
    data = mf.datasets.synthetic(n=3, d=6, rng=3)
    return Evidence(Case(mf.datasets.DataSet("ones", data.X, np.ones(3), "made up"), activation, width))


def test_softplus_fails_a1_away_from_the_start(judge: Judge) -> None:
    evidence = positive("softplus(z)")
    assert not evidence.constants.confined
    for name in ("S1", "S2", "S13"):
        verdict = judge(name, evidence)
        assert verdict.status in ("fails", "does not apply")
        assert "A1 fails" in verdict.reason


def test_exp_is_not_confined(judge: Judge) -> None:
    evidence = positive("exp(z)")
    assert judge("S2", evidence).status == "holds"
    verdict = judge("S3", evidence)
    assert verdict.status == "does not apply"
    assert "confinement fails" in verdict.reason


def test_nothing_moves_for_the_square(judge: Judge) -> None:
    """F is constant for z^2: no flow, and no verdict that could be taken for a success."""
    statuses = {name: judge(name, positive("z**2")).status for name in NAMES}
    assert statuses["S9"] == statuses["S14"] == "does not apply"
    assert statuses.pop("S11") == "holds"  # that F is constant is what it says
    assert "holds" not in statuses.values()


def test_labels_of_zero(judge: Judge) -> None:
    """The flow ends at Z = 0, where ratios to the size of Z would be 0/0."""
    data = mf.datasets.synthetic(n=4, d=8, rng=1)
    evidence = Evidence(Case(mf.datasets.DataSet("zeros", data.X, np.zeros(4), "made up"), "z**3 + z", 5))
    assert judge("S12", evidence).status == "does not apply"  # zero weights give the flattest features
    for name in NAMES:
        assert name == "S12" or judge(name, evidence).status == "holds", name
