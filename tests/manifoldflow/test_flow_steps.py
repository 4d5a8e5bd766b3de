"""How steps are chosen: the first one, those near the limit of stability, those that end at output times."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import DOP853
from scipy.linalg import expm

import manifoldflow as mf
from manifoldflow.compiled import stepping
from manifoldflow.tableaus import dormand_prince
from tests.manifoldflow.conftest import problem

END, RTOL = 10.0, 1e-5


@pytest.fixture(scope="module")
def gaussian():
    """A problem whose flow is explicit at first, then bounded by stability (from t = 0.5 on)."""
    data = mf.datasets.synthetic(10, 20, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), data.X, data.y)
    return man, man.random_point(rng=0)


def run(gaussian, end=END, rtol=RTOL, method="auto", **options):
    man, theta = gaussian
    return mf.sharpness_flow(man, theta, (0.0, end), rtol=rtol, atol=rtol / 100, method=method, **options)


@pytest.mark.parametrize("method", ["explicit", "implicit"])
@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("name", ["cubic", "sinh", "trained", "diagonal", "signed"])
def test_the_first_step_is_accepted_and_not_timid(name, rtol, method):
    case = problem(name)
    sol = mf.sharpness_flow(case.man, case.theta, (0.0, 1e-3), rtol=rtol, atol=rtol / 100, method=method)
    later = mf.sharpness_flow(case.man, case.theta, (0.0, sol.t[1]), rtol=rtol, atol=rtol / 100, method=method)
    assert later.stats["rejected"] == 0
    assert sol.t.size < 3 or sol.t[2] - sol.t[1] < 6.0 * sol.t[1]  # 6: the largest growth, of steps far too short


def test_errors_near_the_limit_of_stability_stay_below_the_tolerance(gaussian):
    """Steps that are bounded by error estimates alone swing about the limit; their points were off by 6e-7."""
    sol = run(gaussian, end=3.0, method="explicit")
    exact = run(gaussian, end=3.0, rtol=1e-11, method="explicit", t_eval=sol.t)
    rate = gaussian[0].hessian_spectrum(sol.theta[-1], k=1, which="largest")[0]
    bounded = np.diff(sol.t)[sol.t[1:] > 1.5] * rate
    assert 4.0 < np.median(bounded) < bounded.max() < 7.0  # 6.38 is the limit
    late = sol.t > 1.0
    assert np.abs(sol.theta - exact.theta)[late].max() < 0.02 * RTOL


def test_the_limit_of_stability_is_that_of_the_tableau():
    """On y' = -z y a step multiplies by R(-z): |R| = 1 at 6.38, and what shows the rate grows before that."""
    tableau = dormand_prince()
    k = len(tableau.b)

    def stages(z):
        return np.linalg.solve(np.eye(k) + z * tableau.A, np.ones(k))

    def after(z):
        return 1.0 - z * tableau.b @ stages(z)

    def last_stage(z):
        return 1.0 - z * tableau.A[-1] @ stages(z)

    assert abs(after(6.37)) < 1.0 < abs(after(6.40))
    assert abs(after(5.0)) < 0.1
    assert abs(after(1.0) - expm([[-1.0]])[0, 0]) < 1e-5
    assert abs(last_stage(6.0) - after(6.0)) > 2.5 > 0.2 > abs(last_stage(5.0) - after(5.0))


@pytest.mark.parametrize("method", ["explicit", "implicit", "auto"])
def test_an_output_time_alone_in_its_step_is_a_step(gaussian, method):
    times = np.geomspace(1e-4, END, 11)
    sol = run(gaussian, method=method, t_eval=times)
    exact = run(gaussian, rtol=1e-11, t_eval=times)
    assert np.array_equal(sol.t, times)
    assert np.abs(sol.theta - exact.theta).max() < 0.1 * RTOL
    without = run(gaussian, method=method)
    assert sol.stats["accepted"] <= without.stats["accepted"] + times.size
    assert np.isin(times[2:], sol.path.knots()[0]).all()  # the first two lie in one step


@pytest.mark.parametrize("method", ["explicit", "implicit"])
def test_many_output_times_add_no_steps(gaussian, method):
    """Several within a step are found by its dense output; the steps are those of a run without."""
    times = np.linspace(0.5, 1.0, 2001)
    sol = run(gaussian, end=1.0, method=method, t_eval=times)
    assert sol.stats["accepted"] <= run(gaussian, end=1.0, method=method).stats["accepted"] + 3
    exact = run(gaussian, end=1.0, rtol=1e-11, method="explicit", t_eval=times[::100])
    assert np.abs(sol.theta[::100] - exact.theta).max() < RTOL


def test_the_polynomial_is_that_of_scipy():
    def field(t, y):
        return np.array([y[1], -np.sin(y[0])])

    solver = DOP853(field, 0.0, [1.0, 0.3], 1.0, rtol=1e-3, first_step=0.4)
    solver.step()
    dense, h, tableau = solver.dense_output(), solver.t, dormand_prince()
    stages = np.zeros((len(tableau.extended), 2))
    for k, row in enumerate(tableau.extended):
        stages[k] = field(0.0, np.array([1.0, 0.3]) + h * row @ stages)
    for x in (0.0, 0.2, 0.7, 1.0):
        y = [1.0, 0.3] + h * x ** np.arange(1, 8) @ tableau.dense @ stages
        np.testing.assert_allclose(y, dense(x * h), rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("rtol", [1e-6, 1e-8])
def test_many_outputs_in_a_step_are_as_exact_as_single_ones(gaussian, rtol):
    """Taken from the polynomial alone, as where any error will do, they are not."""
    sol = run(gaussian, end=3.0, rtol=rtol, method="explicit")
    between = (sol.t[:-1, None] + np.diff(sol.t)[:, None] * [0.02, 0.1, 0.3, 0.7]).ravel()
    single = np.array([sol.sol(t) for t in between])
    anything = sol.path.control._replace(rtol=1.0, atol=1.0)
    several, polynomial = sol.sol(between), replace(sol, path=replace(sol.path, control=anything)).sol(between)
    apart = np.abs(several - single).max(axis=(1, 2))
    assert apart.max() < 1e-3 * rtol
    assert 0.0 < (apart > 0.0).mean() < 0.9  # both ways are taken
    assert np.abs(polynomial - single).max() > 0.3 * rtol


def test_a_refused_step_to_an_output_time_is_shortened(gaussian):
    """Not the step that would have been taken without: that would be tried again and again."""
    man, theta = gaussian
    W = man.coordinates.reduce(theta)
    control = stepping.Control(1.0, 1e-6, 1e-8, 0.0, 0.0, 1e-12, 10, False, 0.0, np.array([1e-3]), 0, 0.0)
    scalars = np.zeros(stepping.N_SCALARS)
    scalars[stepping.H] = 0.5
    state = stepping.State(scalars, W, np.empty_like(W), np.zeros(8, np.int64))
    t_new = stepping.next_time(state, control, np.inf)
    assert t_new == 1e-3
    stepping.refuse(state, t_new - scalars[stepping.T], 100.0, 8)
    assert scalars[stepping.H] < t_new


def test_the_rest_of_a_span_is_one_step_where_nothing_moves():
    """The gradient is rounding of rounding at t = 1e13, and what steps do beyond is noise; outputs are all there."""
    case = problem("cubic")
    times = [0.0, 1.0, 1e30, 1e150, 1e200]
    sol = mf.sharpness_flow(case.man, case.theta, (0.0, 1e200), method="implicit", t_eval=times)
    assert sol.status == "reached_end"
    assert sol.t.tolist() == times
    assert sol.stats["accepted"] < 1000
    assert np.ptp(sol.theta[2:], axis=0).max() < 1e-12
