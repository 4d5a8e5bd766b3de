"""The sharpness flow: closed forms, order, another solver, S4 and S8, dense output, events, reasons to stop.

A step of a chosen length is made by tolerances so loose that the first step spans all of t_span. Order is fitted where
the error is above 1e-13 (50 roundings of the parameters) and below 1e-6 (the leading term rules).
"""

import dataclasses
import pickle

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import manifoldflow as mf
from manifoldflow.compiled import stepping
from manifoldflow.cost import cost_ratio
from manifoldflow.errors import AssumptionWarning, GeometryError, InputError
from manifoldflow.solution import REASONS
from tests.manifoldflow.conftest import problem
from tests.manifoldflow.oracle import fitted_order, relative

METHODS = ("explicit", "implicit")
ROUGH = {"rtol": 1e8, "atol": 1e8}


def fixed_steps(man, theta, end, count, method):
    """The end point after `count` equal steps of the method."""
    for _ in range(count):
        sol = mf.sharpness_flow(man, theta, (0.0, end / count), method=method, dense_output=False, **ROUGH)
        assert sol.stats["accepted"] == 1
        assert sol.stats["rejected"] == 0
        theta = sol.theta[-1]
    return theta


# --- closed forms ---------------------------------------------------------------------------------


class Bilinear:
    """f = sum_j c_j z_j on one sample of unit length: c +- z keep their directions, c_j^2 - z_j^2 falls as e^(-8 t)."""

    x, y = np.array([0.6, 0.8]), 1.5

    def __init__(self):
        network = mf.TwoLayerNetwork(mf.UnitFunction("c*z", own=("c",)), width=3)
        self.man = mf.ZeroLossManifold(network, self.x[None], [self.y])
        self.theta = self.man.random_point(rng=1)

    def exact(self, t):
        z, c = self.theta[:, :2] @ self.x, self.theta[:, 2]
        p, q = c + z, c - z
        # c + z = A p and c - z = B q with A B = e^(-8t) and A^2 |p|^2 - B^2 |q|^2 = 4 y.
        decay, P, Q = np.exp(-16.0 * t), p @ p, q @ q
        A = np.sqrt((4 * self.y + np.sqrt(16 * self.y**2 + 4 * P * Q * decay)) / (2 * P))
        B = np.exp(-8.0 * t) / A
        theta = self.theta.copy()
        theta[:, :2] += np.outer(0.5 * (A * p - B * q) - z, self.x)
        theta[:, 2] = 0.5 * (A * p + B * q)
        return theta


class TwoExponentials:
    """e^z1 + e^z2 = y with e^z = y (1 +- r) / 2: then r' = -y^2 r (1 - r^2)^2 / (1 + r^2), solved by separation."""

    y, r0 = 2.0, 0.9

    def __init__(self):
        self.man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=2), [[1.0]], [self.y])
        self.theta = self._point(self.r0)

    def _point(self, r):
        return np.log(0.5 * self.y * np.array([[1 + r], [1 - r]]))

    def exact(self, t):
        def clock(r):
            q = r * r
            return 0.5 * (np.log(q) - np.log1p(-q) + 2.0 / (1.0 - q))

        return self._point(brentq(lambda r: clock(r) - clock(self.r0) + self.y**2 * t, 1e-9, self.r0, xtol=1e-16))


@pytest.fixture(scope="module", params=[Bilinear, TwoExponentials])
def closed_form(request):
    return request.param()


@pytest.mark.parametrize("method", METHODS)
def test_the_end_point_is_that_of_the_closed_form(closed_form, method):
    sol = mf.sharpness_flow(closed_form.man, closed_form.theta, (0.0, 1.0), rtol=1e-11, atol=1e-12, method=method)
    assert sol.status == "reached_end"
    assert sol.t[-1] == 1.0
    assert sol.stats["method"] == method
    for t, theta in zip(sol.t, sol.theta, strict=True):
        np.testing.assert_allclose(theta, closed_form.exact(t), atol=2e-10)


@pytest.mark.parametrize("method", METHODS)
def test_errors_follow_the_tolerance(closed_form, method):
    errors = []
    for tolerance in (1e-5, 1e-8, 1e-11):
        sol = mf.sharpness_flow(closed_form.man, closed_form.theta, rtol=tolerance, atol=tolerance, method=method,
                                t_span=(0.0, 1.0))  # fmt: skip
        errors.append(np.abs(sol.theta - [closed_form.exact(t) for t in sol.t]).max())
    assert np.all(np.array(errors) < 50 * np.array([1e-5, 1e-8, 1e-11]))
    assert errors[2] < 1e-3 * errors[0]


ORDER = {"explicit": 8.0, "implicit": 5.0}
DENSE_ORDER = {"explicit": 8.0, "implicit": 4.0}


@pytest.mark.parametrize(
    ("case", "end", "method", "counts"),
    [
        (Bilinear, 0.4, "explicit", (2, 3, 4, 6)),
        (Bilinear, 0.2, "implicit", (2, 4, 8)),
        (TwoExponentials, 1.0, "explicit", (6, 8, 12)),
        (TwoExponentials, 1.0, "implicit", (8, 16, 32, 64)),
    ],
)
def test_the_order_on_closed_forms(case, end, method, counts):
    built = case()
    wanted = built.exact(end)
    errors = [np.abs(fixed_steps(built.man, built.theta, end, k, method) - wanted).max() for k in counts]
    assert min(errors) > 1e-14
    assert max(errors) < 1e-6
    assert fitted_order([end / k for k in counts], errors) == pytest.approx(ORDER[method], abs=0.45)


@pytest.mark.parametrize(("method", "counts"), [("explicit", (1.4, 2, 2.8, 4)), ("implicit", (4, 8, 16))])
def test_the_order_of_the_dense_output(method, counts):
    # One step, so the local error, one order higher; the least of the weights would leave order 1 to 4.
    built = Bilinear()
    lengths, errors = 0.2 / np.array(counts), []
    for h in lengths:
        sol = mf.sharpness_flow(built.man, built.theta, (0.0, h), method=method, **ROUGH)
        assert sol.stats["accepted"] == 1
        errors.append(max(np.abs(sol.sol(x * h) - built.exact(x * h)).max() for x in (0.25, 0.5, 0.75)))
    assert fitted_order(lengths, errors) == pytest.approx(DENSE_ORDER[method] + 1.0, abs=0.45)


@pytest.mark.parametrize(("method", "length", "counts"), [("explicit", 1.0, (2, 3, 4)), ("implicit", 0.3, (2, 4, 8))])
@pytest.mark.parametrize("name", ["cubic", "two_own"])
def test_the_order_by_self_convergence(name, method, length, counts):
    man, theta = problem(name).man, problem(name).theta
    end = length / np.abs(man.hessian_spectrum(theta)).max()
    wanted = mf.sharpness_flow(man, theta, (0.0, end), rtol=2e-14, atol=1e-15, method="implicit").theta[-1]
    errors = [np.abs(fixed_steps(man, theta, end, k, method) - wanted).max() for k in counts]
    assert min(errors) > 2e-13
    assert fitted_order([end / k for k in counts], errors) == pytest.approx(ORDER[method], abs=0.45)


# --- another solver, another formula --------------------------------------------------------------


def cubic_field(X, m):
    """-P grad F for phi = z^3 + z in the flattened parameters: NumPy and a typed-in phi, nothing else."""

    def field(_, flat):
        z = flat.reshape(m, -1) @ X.T
        slope, second = 3 * z**2 + 1, 6 * z
        J = (slope.T[:, :, None] * X[:, None, :]).reshape(X.shape[0], -1)
        gradient = ((4 * slope * second * (X**2).sum(axis=1)) @ X).ravel()
        return -(gradient - J.T @ np.linalg.solve(J @ J.T, J @ gradient))

    return field


@pytest.mark.parametrize("method", METHODS)
def test_scipy_on_the_parameters_own_space_agrees(cubic, method):
    field = cubic_field(cubic.X, cubic.man.m)
    assert relative(-field(0.0, cubic.theta), cubic.oracle.gradient(cubic.theta).ravel()) < 1e-12
    end = 0.5
    other = solve_ivp(field, (0.0, end), cubic.theta.ravel(), method="Radau", rtol=1e-12, atol=1e-13)
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, end), rtol=1e-11, atol=1e-12, method=method)
    assert np.abs(sol.theta[-1] - cubic.theta).max() > 0.1
    np.testing.assert_allclose(sol.theta[-1].ravel(), other.y[:, -1], atol=2e-9)


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "trained", "two_own", "ill"])
def test_explicit_and_implicit_agree(name):
    man, theta = problem(name).man, problem(name).theta
    ends = [mf.sharpness_flow(man, theta, (0.0, 0.5), rtol=1e-10, atol=1e-11, method=m).theta[-1] for m in METHODS]
    np.testing.assert_allclose(*ends, atol=2e-8)
    assert np.abs(ends[0] - theta).max() > 1e-2


# --- what holds along every solution --------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["cubic", "signed", "trained", "per_sample", "diagonal", "large_d"])
@pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")
def test_solutions_stay_on_m_and_become_flatter(name, method):
    case = problem(name)
    sol = mf.sharpness_flow(case.man, case.theta, (0.0, 0.3), rtol=1e-6, method=method)
    assert sol.success
    size = 1e-12 * (1 + np.abs(case.y).max())
    outputs = np.array([case.oracle.output(theta) for theta in sol.theta])
    assert np.abs(outputs - case.y).max() < size
    assert sol.residual.max() < size
    assert np.all(np.diff(sol.sharpness) <= 1e-12 * sol.sharpness[0])
    np.testing.assert_allclose(sol.sharpness, [case.oracle.sharpness(theta) for theta in sol.theta], rtol=1e-11)
    norms = [np.linalg.norm(case.man.gradient(theta)) for theta in sol.theta]
    np.testing.assert_allclose(sol.gradient_norm, norms, rtol=1e-9)
    rows = np.linalg.svd(case.inputs, full_matrices=False)[2]
    rows = rows[: case.man.coordinates.rank]
    d = case.inputs.shape[1]
    moved = (sol.theta - case.theta)[:, :, :d]
    np.testing.assert_allclose(moved, moved @ rows.T @ rows, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_the_sharpness_falls_at_the_rate_of_the_squared_gradient(cubic, method):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.2), rtol=1e-10, atol=1e-12, method=method)
    h = 1e-4
    for t in (0.05, 0.1):
        slope = (cubic.man.sharpness(sol.sol(t + h)) - cubic.man.sharpness(sol.sol(t - h))) / (2 * h)
        assert slope == pytest.approx(-(np.linalg.norm(cubic.man.gradient(sol.sol(t))) ** 2), rel=1e-4)


# --- output ---------------------------------------------------------------------------------------


def test_dense_output_is_continuous_and_on_m(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), rtol=1e-7, method="explicit")
    for k, t in enumerate(sol.t):
        np.testing.assert_allclose(sol.sol(t), sol.theta[k], atol=1e-13)
    for t in np.linspace(0.0, 0.5, 23):
        assert np.abs(cubic.oracle.output(sol.sol(t)) - cubic.y).max() < 1e-12
    inner = sol.t[1:-1]
    jumps = [np.abs(sol.sol(np.nextafter(t, 0.0)) - sol.sol(t)).max() for t in inner]
    assert max(jumps) < 1e-10


def test_t_eval_gives_those_times_and_the_values_of_the_dense_output(cubic):
    times = np.array([0.0, 0.01, 0.2, 0.5])
    steps = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), method="explicit")
    for dense_output in (True, False):
        sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), method="explicit", t_eval=times,
                                dense_output=dense_output)  # fmt: skip
        np.testing.assert_array_equal(sol.t, times)
        for k, t in enumerate(times):
            np.testing.assert_allclose(sol.theta[k], steps.sol(t), atol=1e-13)
            assert sol.sharpness[k] == pytest.approx(cubic.man.sharpness(sol.theta[k]), rel=1e-12)
    assert mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), t_eval=[]).theta.shape == (0, *cubic.man.shape)


def test_times_after_an_early_end_are_left_out(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), t_eval=[0.0, 0.5], max_steps=2)
    assert sol.status == "step_limit"
    np.testing.assert_array_equal(sol.t, [0.0])


@pytest.mark.parametrize("method", ["explicit", "implicit", "auto"])
def test_dense_output_takes_several_times_in_any_order(cubic, rng, method):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 2.0), method=method)
    times = np.concatenate([rng.permutation(np.linspace(0.0, 2.0, 41)), sol.t[[0, 3, -1]], [0.7, 0.7]])
    together = sol.sol(times)
    np.testing.assert_allclose(together, [sol.sol(t) for t in times], rtol=0.0, atol=1e-3 * 1e-6)
    assert np.ptp(together[:, 0, 0]) > 0.1 * np.abs(together[:, 0, 0]).max()  # they are not all one point
    assert sol.sol([]).shape == (0, *cubic.man.shape)
    for wrong in ([[0.1, 0.2]], "0.1", [0.1, np.nan], [0.1, 2.5]):
        with pytest.raises(InputError, match="t must"):
            sol.sol(wrong)


def test_without_dense_output_sol_says_so(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), dense_output=False)
    with pytest.raises(InputError, match="dense_output=True"):
        sol.sol(0.05)


@pytest.mark.parametrize("t", [-1e-9, 0.1000001, np.nan, np.inf])
def test_dense_output_ends_with_the_span(cubic, t):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1))
    with pytest.raises(InputError, match="integrated span" if np.isfinite(t) else "finite"):
        sol.sol(t)


def test_the_start_of_the_span_is_only_a_label(cubic):
    ends = [mf.sharpness_flow(cubic.man, cubic.theta, (t, t + 0.25)) for t in (0.0, -3.0, 4.0)]
    assert [sol.t[0] for sol in ends] == [0.0, -3.0, 4.0]
    assert [sol.t[-1] for sol in ends] == [0.25, -2.75, 4.25]
    for sol in ends[1:]:
        np.testing.assert_allclose(sol.theta[-1], ends[0].theta[-1], atol=1e-10)


def test_a_solution_is_immutable(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), t_eval=[0.0, 0.1], events=lambda t, _: t - 0.05)
    with pytest.raises(dataclasses.FrozenInstanceError):
        sol.t = None
    with pytest.raises(TypeError):
        sol.stats["method"] = "other"
    names = ("t", "W", "theta", "sharpness", "gradient_norm", "residual")
    writable = [name for name in names if getattr(sol, name).flags.writeable]
    writable += ["t_events"] if sol.t_events[0].flags.writeable else []
    assert writable == []


def test_a_solution_can_be_sent_to_another_process(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1))
    again = pickle.loads(pickle.dumps(sol))
    np.testing.assert_array_equal(again.theta, sol.theta)
    np.testing.assert_array_equal(again.sol(0.05), sol.sol(0.05))


def test_the_same_call_gives_the_same_bits(cubic):
    for method in METHODS:
        one, two = (mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.2), method=method).theta for _ in range(2))
        np.testing.assert_array_equal(one, two)


# --- events ---------------------------------------------------------------------------------------


def test_events_are_located(cubic):
    whole = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), rtol=1e-9)
    levels = np.quantile(whole.sharpness, [0.3, 0.7])
    events = [lambda _, theta, level=level: cubic.man.sharpness(theta) - level for level in levels]
    events.append(lambda t, _: t - 0.123)
    events.append(lambda *_: 1.0)
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), rtol=1e-9, events=events)
    assert [times.size for times in sol.t_events] == [1, 1, 1, 0]
    assert sol.t_events[2][0] == pytest.approx(0.123, abs=1e-12)
    for k in range(2):
        assert sol.theta_events[k].shape == (1, *cubic.man.shape)
        assert cubic.man.sharpness(sol.theta_events[k][0]) == pytest.approx(levels[k], rel=1e-10)
    assert sol.theta_events[3].shape == (0, *cubic.man.shape)
    np.testing.assert_array_equal(sol.t, whole.t)


@pytest.mark.parametrize("method", METHODS)
def test_a_terminal_event_ends_the_run_there(cubic, method):
    def stop(t, _):
        return t - 0.2

    stop.terminal = True
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), method=method,
                            events=[stop, lambda t, _: t - 0.1, lambda t, _: t - 0.3])  # fmt: skip
    assert sol.status == "event"
    assert sol.success
    assert sol.t[-1] == pytest.approx(0.2, abs=1e-12)
    assert [times.size for times in sol.t_events] == [1, 1, 0]
    assert np.all(np.diff(sol.t) > 0)
    assert sol.t.size == sol.sharpness.size == sol.gradient_norm.size == sol.residual.size == len(sol.theta)
    plain = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), method=method)
    for t in (0.05, 0.19, sol.t[-1]):
        np.testing.assert_allclose(sol.sol(t), plain.sol(t), atol=1e-12)
    with pytest.raises(InputError, match="integrated span"):
        sol.sol(0.25)
    assert sol.sharpness[-1] == pytest.approx(cubic.man.sharpness(sol.theta[-1]), rel=1e-12)


def test_events_work_without_dense_output(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.2), events=lambda t, _: t - 0.1, dense_output=False)
    assert sol.t_events[0] == pytest.approx([0.1])
    assert sol.theta_events[0].shape == (1, *cubic.man.shape)


def test_an_event_that_holds_at_the_start_is_not_a_crossing(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), events=lambda t, _: t)
    assert sol.t_events[0].size == 0


# --- reasons to stop ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_step_that_does_not_move_the_clock_ends_in_underflow(cubic, method):
    # Neighbouring float64 are 2 apart at 1e16, and the flow needs steps of about 1e-3.
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (1e16, 1e16 + 64.0), method=method)
    assert (sol.status, sol.success) == ("step_underflow", False)
    assert "rtol" in sol.message
    assert sol.t.tolist() == [1e16]
    np.testing.assert_allclose(sol.theta[-1], cubic.theta, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_the_smallest_tolerance_comes_to_an_end(cubic, method):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.01), rtol=2.3e-15, atol=1e-13, method=method)
    assert sol.status == "reached_end"
    assert sol.stats["accepted"] < 5000


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")
@pytest.mark.parametrize("rtol", [1e-8, 1e-4])
@pytest.mark.parametrize(("seed", "n", "d"), [(0, 20, 10), (2, 10, 6)])
def test_the_sharpness_does_not_rise_along_a_long_step(seed, n, d, rtol):
    # Saturating units take steps of 1e13 over the largest rate.
    data = mf.datasets.synthetic(n=n, d=d, rng=seed)
    U, S, _ = np.linalg.svd(data.X, full_matrices=False)
    h = d // 2
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=10), U[:, :h] * S[:h], data.y)
    sol = mf.sharpness_flow(man, man.random_point(rng=seed), rtol=rtol, max_steps=2500, dense_output=False)
    assert sol.t[-1] > 1e13
    assert np.all(sol.sharpness[1:] <= sol.sharpness[:-1] * (1.0 + rtol))


@pytest.mark.parametrize("method", METHODS)
def test_a_projection_that_fails_is_told_apart(cubic, method, monkeypatch):
    theta = cubic.theta  # drawn when first asked for, which takes projections
    monkeypatch.setattr(cubic.man, "projection_tolerance", lambda W=None: -1.0)
    with np.errstate(invalid="ignore"):
        sol = mf.sharpness_flow(cubic.man, theta, (0.0, 1.0), method=method)
    assert (sol.status, sol.success, sol.t.size) == ("projection_failed", False, 1)
    assert "projected" in sol.message


def test_a_step_onto_a_singular_point_is_told_apart():
    # z^3 at z = 0, y = 0: f = y holds there, and J vanishes.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3", width=2), [[1.0]], [0.0])
    work, W = man.workspace(), np.zeros((2, 1))
    F, size, reason = stepping.land(W, np.empty_like(W), man.problem, work, np.empty_like(W), 1e-12)
    assert np.isnan(F)
    assert size == 0.0
    assert reason == stepping.SINGULAR
    assert REASONS[reason][0] == "singular"
    W = np.array([[1.0], [-1.0]])
    assert stepping.land(W, np.empty_like(W), man.problem, work, np.empty_like(W), 1e-12)[2] == stepping.RUNNING


@pytest.mark.parametrize(("method", "options"), [("implicit", {}), ("explicit", {"gradient_tolerance": 1e-6})])
def test_an_infinite_span_ends_at_a_stationary_point(cubic, method, options):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, method=method, max_steps=20_000, **options)
    assert (sol.status, sol.success) == ("stationary", True)
    assert sol.stats["method"] == method
    level = options.get("gradient_tolerance", 1e-11)
    assert np.linalg.norm(cubic.oracle.gradient(sol.theta[-1])) < 1.001 * level
    Z = cubic.man.preactivations(sol.theta[-1])
    np.testing.assert_allclose(Z, np.repeat(Z[:1], 4, axis=0), atol=100 * level)


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")
@pytest.mark.parametrize(
    ("n", "d", "weights"), [(60, 40, None), (12, 30, None), (12, 8, "trained"), (12, 30, "trained")]
)
def test_long_runs_end_at_rounding(n, d, weights):
    # Dependent samples have coefficients that do not vanish with the gradient; they must not bring in their rounding.
    data = mf.datasets.synthetic(n=n, d=d, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=30, output_weights=weights), data.X, data.y)
    theta = man.random_point(rng=0)
    sol = mf.sharpness_flow(man, theta, method="implicit", rtol=1e-6, max_steps=2000, dense_output=False)
    assert sol.status == "stationary"
    assert sol.gradient_norm[-1] < 1e-11
    later = mf.sharpness_flow(man, theta, (0.0, 1e6), method="implicit", rtol=1e-6, max_steps=2000, dense_output=False)
    assert later.status == "reached_end"
    assert later.gradient_norm[-1] < 1e-10


def test_gradient_tolerance_stops_the_run_at_once_and_later(cubic):
    first = np.linalg.norm(cubic.man.gradient(cubic.theta))
    sol = mf.sharpness_flow(cubic.man, cubic.theta, gradient_tolerance=1e-3 * first)
    assert sol.status == "stationary"
    assert sol.gradient_norm[-1] <= 1e-3 * first
    assert np.all(sol.gradient_norm[:-1] > 1e-3 * first)
    at_once = mf.sharpness_flow(cubic.man, cubic.theta, gradient_tolerance=2 * first)
    assert (at_once.status, at_once.t.size) == ("stationary", 1)
    np.testing.assert_allclose(at_once.sol(0.0), cubic.theta, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_the_step_limit_is_not_success(cubic, method):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 10.0), max_steps=3, method=method)
    assert (sol.status, sol.success, sol.stats["accepted"], sol.t.size) == ("step_limit", False, 3, 4)
    assert "max_steps" in sol.message


@pytest.mark.parametrize("method", METHODS)
def test_a_flow_that_leaves_the_domain_says_so(method):
    # phi = z^(3/2), y = 2: the sum of z falls until the smaller z is 0, where phi'' is infinite, in finite time.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**1.5", width=2), [[1.0]], [2.0])
    with pytest.warns(AssumptionWarning, match="A1"):
        sol = mf.sharpness_flow(man, [[0.7 ** (2 / 3)], [1.3 ** (2 / 3)]], (0.0, 5.0), method=method)
    assert (sol.status, sol.success) == ("not_finite", False)
    assert "domain" in sol.message
    assert np.isfinite(sol.theta).all()
    assert sol.theta[-1].min() == pytest.approx(0.0, abs=1e-6)
    assert sol.t[-1] < 1.0


def test_ctrl_c_keeps_what_is_finished(cubic):
    calls = []

    def impatient(t, _):
        calls.append(t)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return 1.0

    sol = mf.sharpness_flow(cubic.man, cubic.theta, events=impatient)
    assert (sol.status, sol.success) == ("interrupted", False)
    assert np.isfinite(sol.theta).all()
    assert sol.residual.max() < 1e-12


def test_more_steps_than_one_record_holds(cubic):
    # A record holds at most 256 steps; the run goes on in the next.
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), rtol=1e-12, atol=1e-12, method="implicit")
    assert sol.t.size > 300
    assert np.all(np.diff(sol.t) > 0)
    assert sol.stats["accepted"] == sol.t.size - 1
    wanted = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.5), rtol=1e-11, atol=1e-12, method="explicit").theta[-1]
    np.testing.assert_allclose(sol.theta[-1], wanted, atol=1e-9)


def test_square_units_do_not_move():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=2), np.eye(2), [1.0, 2.0])
    theta = man.random_point(rng=0)
    with pytest.warns(AssumptionWarning, match="A1"):
        sol = mf.sharpness_flow(man, theta, (0.0, 1.0))
    np.testing.assert_allclose(sol.theta[-1], theta, atol=1e-13)
    assert sol.sharpness[0] == pytest.approx(8.0 * 3.0, rel=1e-13)


# --- the digits -----------------------------------------------------------------------------------


def test_digits_end_at_the_flattest_point(digits_run):
    man, theta, sol = digits_run
    assert (sol.status, sol.stats["method"]) == ("stationary", "implicit")
    assert np.linalg.cond(man.gram) > 1e6
    best = mf.flattest_point(man, theta)
    assert np.abs(sol.theta[-1] - best.x).max() < 1e-8
    assert sol.sharpness[-1] == pytest.approx(best.fun, rel=1e-12)
    assert sol.residual.max() < 2e-12
    assert np.all(np.diff(sol.sharpness) <= 1e-12 * sol.sharpness[0])


def test_auto_switches_where_the_flow_becomes_stiff_and_says_so(digits_run):
    man, theta, _ = digits_run
    runs = {m: mf.sharpness_flow(man, theta, (0.0, 50.0), rtol=1e-6, method=m) for m in (*METHODS[1:], "auto")}
    stats = runs["auto"].stats
    assert stats["method"] == "explicit+implicit"
    assert stats["switches"] >= 1
    assert min(stats["explicit_steps"], stats["implicit_steps"]) > 10
    assert stats["explicit_steps"] + stats["implicit_steps"] == stats["accepted"] == runs["auto"].t.size - 1
    assert runs["implicit"].stats["switches"] == runs["implicit"].stats["explicit_steps"] == 0
    for t in (0.01, 0.5, 5.0, 50.0):
        np.testing.assert_allclose(runs["auto"].sol(t), runs["implicit"].sol(t), atol=2e-6)


def test_auto_stays_explicit_where_nothing_is_stiff():
    easy = problem("cubic")
    stats = mf.sharpness_flow(easy.man, easy.theta, (0.0, 1e-2)).stats
    assert (stats["method"], stats["switches"], stats["factorisations"]) == ("explicit", 0, 0)


@pytest.mark.parametrize(
    ("formula", "n", "d", "end", "weights", "share"),
    [
        ("sinh(z)", 20, None, 100.0, None, 0.9),
        ("z**3 + z", 30, 30, 10.0, None, 0.8),
        ("z**3 + z", 5, 20, 10.0, None, 0.9),
        ("z**3 + z", 10, 20, 10.0, "trained", 1.15),  # hardly stiff: looking for it has a price
    ],
)
@pytest.mark.parametrize("rtol", [1e-5, 1e-7])
def test_auto_takes_less_work_than_either_method_alone(formula, n, d, end, weights, share, rtol):
    data = mf.datasets.digits(n) if d is None else mf.datasets.synthetic(n, d, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, 20, weights), data.X, data.y)
    theta, work = man.random_point(rng=0), {}
    for method in ("explicit", "implicit", "auto"):
        sol = mf.sharpness_flow(man, theta, (0.0, end), rtol=rtol, atol=1e-2 * rtol, method=method, dense_output=False)
        tried = sol.stats["accepted"] + sol.stats["rejected"]
        shares = sol.stats["explicit_steps"], cost_ratio(man) * sol.stats["implicit_steps"]
        work[method] = sum(shares) * tried / sol.stats["accepted"]
    assert work["auto"] < share * min(work["explicit"], work["implicit"]), work


def test_long_steps_are_stable(digits_run):
    # Without the pull towards M, steps on the digits are bounded by an instability whatever the tolerance: 400 of them.
    man, theta, _ = digits_run
    sol = mf.sharpness_flow(man, theta, (0.0, 6.6e4), rtol=1e-4, atol=1e-6, method="implicit")
    assert sol.stats["accepted"] < 200
    assert np.all(np.diff(sol.gradient_norm[sol.t > 300.0]) < 1e-6)


# --- warnings and refusals ------------------------------------------------------------------------


def test_tanh_warns_and_names_the_statements():
    case = problem("tanh")
    with pytest.warns(AssumptionWarning, match=r"A1.* fail for tanh\(z\)") as caught:
        sol = mf.sharpness_flow(case.man, case.theta, (0.0, 0.1))
    for statement in ("S1", "S2", "S3", "S4", "S5", "S6", "S13"):
        assert statement in str(caught[0].message)
    assert caught[0].filename == __file__
    assert sol.success


def test_more_samples_than_dimensions_warns_about_a2():
    case = problem("wide_data")
    with pytest.warns(AssumptionWarning, match=r"A2 fail") as caught:
        sol = mf.sharpness_flow(case.man, case.theta, (0.0, 0.1))
    assert "S13" in str(caught[0].message)
    assert "S7" not in str(caught[0].message)
    assert sol.success


BAD = [
    ({"t_span": (1.0, 0.0)}, "t_span"),
    ({"t_span": (0.0, 0.0)}, "t_span"),
    ({"t_span": (np.nan, 1.0)}, "t_span"),
    ({"t_span": (0.0, np.nan)}, "t_span"),
    ({"t_span": (-np.inf, 1.0)}, "t_span"),
    ({"t_span": (0.0,)}, "t_span"),
    ({"t_span": 1.0}, "t_span"),
    ({"t_span": ("a", "b")}, "t_span"),
    ({"rtol": -1e-8}, "rtol"),
    ({"rtol": 0.0}, "rtol"),
    ({"rtol": 1e-30}, r"rtol must be at least 10 eps = 2\.22e-15"),
    ({"rtol": 2.2e-15, "atol": 0.0}, "10 eps"),
    ({"rtol": np.nan}, "rtol"),
    ({"rtol": "1e-8"}, "rtol"),
    ({"rtol": True}, "rtol"),
    ({"rtol": 10**400}, "rtol"),
    ({"atol": -1.0}, "atol"),
    ({"atol": np.inf}, "atol"),
    ({"atol": [1e-8]}, "atol"),
    ({"method": "RK45"}, r"method.*'auto', 'explicit', 'implicit'"),
    ({"method": None}, "method"),
    ({"t_eval": [1e-4, 1e-4]}, "t_eval"),
    ({"t_eval": [2e-4, 1e-4]}, "t_eval"),
    ({"t_eval": [-0.1]}, "t_eval"),
    ({"t_eval": [1.5]}, "t_eval"),
    ({"t_eval": [np.nan]}, "t_eval"),
    ({"t_eval": [[1e-4]]}, "t_eval"),
    ({"events": [1]}, "events"),
    ({"events": 1}, "events"),
    ({"gradient_tolerance": -1.0}, "gradient_tolerance"),
    ({"max_steps": 0}, "max_steps"),
    ({"max_steps": 1.5}, "max_steps"),
    ({"max_steps": True}, "max_steps"),
    ({"max_steps": 2**70}, "max_steps"),
    ({"dense_output": "no"}, "dense_output"),
]


@pytest.mark.parametrize(("options", "match"), BAD, ids=[str(options)[:40] for options, _ in BAD])
def test_bad_options(cubic, options, match):
    with pytest.raises(InputError, match=match):
        mf.sharpness_flow(cubic.man, cubic.theta, **{"t_span": (0.0, 1e-3), **options})


def test_bad_starting_points(cubic):
    with pytest.raises(GeometryError, match="not on the manifold"):
        mf.sharpness_flow(cubic.man, cubic.theta + 0.01)
    with pytest.raises(InputError, match=r"theta must have shape \(4, 5\)"):
        mf.sharpness_flow(cubic.man, cubic.theta[:, :-1])
    with pytest.raises(InputError, match="finite"):
        mf.sharpness_flow(cubic.man, np.full(cubic.man.shape, np.nan))
    with pytest.raises(InputError, match="ZeroLossManifold; got TwoLayerNetwork"):
        mf.sharpness_flow(cubic.network, cubic.theta)
