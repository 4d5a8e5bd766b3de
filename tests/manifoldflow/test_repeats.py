"""Equal rows of X with equal labels: the flow and all geometry against differentiation of the loss as it is given."""

from dataclasses import replace
from functools import cache

import autograd
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import manifoldflow as mf
from manifoldflow.certificates import exact_zero_loss_point
from manifoldflow.coordinates import ReducedCoordinates
from manifoldflow.errors import AssumptionWarning, GeometryError, InputError, ProjectionError, UnreachableLabelsError
from manifoldflow.repeats import Repeats, repeats_of
from manifoldflow.sgd import finite_step_gradient, finite_step_sharpness
from tests.manifoldflow.conftest import SMALL, Problem, problem
from tests.manifoldflow.oracle import relative

pytestmark = pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")

NAMES = [name for name in SMALL if name != "per_sample"]  # of which see `test_where_no_multiple_...`


def repeated(name, rows=None):
    """The shared problem of that name with its first sample three times and its second twice; on the same M."""
    case = problem(name)
    rows = [0, 1, 0, *range(2, len(case.y)), 1, 0] if rows is None else rows
    made = Problem(case.network, case.psi, case.X[rows], case.y[rows])
    made.__dict__["theta"] = case.theta
    return made


@cache
def twice(name):
    """Every sample twice, so that F is 2 F of the shared problem, and all that SGD does the same."""
    return repeated(name, np.repeat(np.arange(len(problem(name).y)), 2))


@pytest.fixture(params=NAMES)
def case(request):
    return repeated(request.param)


def gradient(oracle, theta):
    """Of F, without the normal part: the residual of least squares, whatever the rank of J."""
    J, g = oracle.jacobian(theta).reshape(oracle.y.size, -1), autograd.grad(oracle.sharpness)(theta).ravel()
    return (g - J.T @ np.linalg.lstsq(J.T, g, rcond=1e-10)[0]).reshape(theta.shape)


# --- first and second derivatives -----------------------------------------------------------------


def test_values_have_a_row_for_every_sample(case):
    man, theta = case.man, case.theta
    n = len(case.y)
    assert (man.n, man.distinct.n, man.distinct.distinct) == (n, n - 3, man.distinct)
    assert man.predict(theta).shape == man.residual(theta).shape == man.multipliers(theta).shape == (n,)
    np.testing.assert_allclose(man.jacobian(theta), case.oracle.jacobian(theta), atol=1e-12, rtol=1e-12)
    assert man.preactivations(theta).shape == (man.m, n)
    assert relative(man.jacobian_gram(theta), np.einsum("imk,jmk->ij", *[case.oracle.jacobian(theta)] * 2)) < 1e-13
    assert man.mu == 0.0


def test_derivatives_are_those_of_the_loss(case):
    man, oracle, theta = case.man, case.oracle, case.theta
    assert man.sharpness(theta) == pytest.approx(oracle.hessian_trace(theta), rel=1e-11)
    assert relative(man.gradient(theta), gradient(oracle, theta)) < 1e-11
    assert relative(man.multipliers(theta), oracle.multipliers(theta)) < 1e-10  # those of least norm
    u = case.direction()
    assert relative(man.projection(theta, u).ravel(), oracle.projector(theta) @ u.ravel()) < 1e-12


def test_second_derivatives_are_those_of_the_loss(case):
    man, theta, u = case.man, case.theta, case.direction()
    assert relative(man.hessian_vector_product(theta, u), case.oracle.hessian_vector_product(theta, u)) < 1e-9
    values = man.hessian_spectrum(theta)
    assert values.size == man.dimension == man.m * (man.coordinates.rank + man.network.p) - man.distinct.n
    if man.coordinates.d:
        assert relative(values, case.oracle.spectrum(theta)) < 1e-9
    assert mf.geodesic_convexity(man, theta, case.tangent(size=0.1), n_points=33).consistent


def test_a_removed_copy_changes_the_gradient(case):
    # The control: M is the same, F is not.
    assert relative(problem_of(case).man.gradient(case.theta), case.man.gradient(case.theta)) > 1e-3


def problem_of(case):
    first = case.man.repeats.first
    return Problem(case.network, case.psi, case.X[first], case.y[first])


# --- points and curves ----------------------------------------------------------------------------


def test_points_are_found_on_m(case):
    man, theta = case.man, case.theta
    tolerance = 1e-12 * (1.0 + np.abs(case.y).max())
    for point in (
        man.random_point(rng=1), man.nearest_point(theta + 1e-3 * case.direction()),
        man.retraction(theta, 1e-2 * case.tangent()), man.exp(theta, 1e-2 * case.tangent()),
        mf.gradient_flow_limit(man, theta + 1e-3 * case.direction()),
    ):  # fmt: skip
        assert np.abs(man.residual(point)).max() < 100.0 * tolerance
    once = problem_of(case).man
    u = 0.1 * case.tangent()
    assert relative(man.exp(theta, u), once.exp(theta, u)) < 1e-9  # geodesics do not know of F
    assert relative(man.transport(theta, u, u), once.transport(theta, u, u)) < 1e-9
    assert exact_zero_loss_point(man, theta).certificate.proved


def test_the_limit_of_gradient_descent_knows_how_often_a_sample_occurs():
    case = repeated("cubic")
    start = case.theta + 0.5 * case.direction()
    found = mf.gradient_flow_limit(case.man, start)
    loss = autograd.grad(case.oracle.loss)
    path = solve_ivp(lambda _, v: -loss(v.reshape(start.shape)).ravel(), (0.0, 50.0), start.ravel(), "LSODA",
                     rtol=1e-11, atol=1e-13)  # fmt: skip
    assert relative(found - start, path.y[:, -1].reshape(start.shape) - start) < 1e-7
    assert relative(found - start, mf.gradient_flow_limit(problem_of(case).man, start) - start) > 1e-5


# --- the flow, its end, SGD -----------------------------------------------------------------------


def test_the_flow_is_that_of_the_projected_gradient(case):
    theta = case.theta
    end = 0.05 * np.linalg.norm(theta) / np.linalg.norm(case.man.gradient(theta))
    path = solve_ivp(lambda _, v: -gradient(case.oracle, v.reshape(theta.shape)).ravel(), (0.0, end), theta.ravel(),
                     "DOP853", rtol=1e-11, atol=1e-12, dense_output=True)  # fmt: skip
    for method in ("explicit", "implicit"):
        sol = mf.sharpness_flow(case.man, theta, (0.0, end), rtol=1e-10, atol=1e-12, method=method)
        assert relative(sol.theta[-1] - theta, path.y[:, -1].reshape(theta.shape) - theta) < 1e-8
        assert relative(sol.sol(0.5 * end) - theta, path.sol(0.5 * end).reshape(theta.shape) - theta) < 1e-6
        assert sol.residual.max() < 1e-11


@pytest.mark.parametrize("name", ["cubic", "signed", "trained", "diagonal", "squares", "wide_data"])
def test_the_flow_ends_where_the_flattest_point_is(name):
    case = repeated(name)
    sol = mf.sharpness_flow(case.man, case.theta)
    found = mf.flattest_point(case.man, sol.theta[-1])
    assert (sol.status, found.success) == ("stationary", True)
    assert found.fun == pytest.approx(sol.sharpness[-1], rel=1e-10)
    assert found.fun == pytest.approx(case.oracle.hessian_trace(found.x), rel=1e-10)
    if name in ("cubic", "signed"):
        assert found.is_global


def test_the_theorems_do_not_apply_to_rows_that_are_given_twice():
    case = repeated("cubic")
    with pytest.warns(AssumptionWarning, match="A2 fail.*mu = 0"):
        mf.sharpness_flow(case.man, case.theta, (0.0, 1e-3))


@pytest.mark.parametrize("scheme", [
    {}, {"momentum": 0.5}, {"batch_size": 1}, {"batch_size": 1, "momentum": 0.5}, {"batch_size": 3},
])  # fmt: skip
@pytest.mark.parametrize("name", ["cubic", "trained", "diagonal"])
def test_steps_of_finite_size_are_those_of_the_samples_taken_twice(name, scheme):
    # To draw from n samples, or from 2 n of which each occurs twice, is the same; the full batch sums over all.
    case, once = twice(name), problem(name)
    eta = 0.2 / np.linalg.eigvalsh(once.man.jacobian_gram(once.theta))[-1]
    eta_once = eta if "batch_size" in scheme else 2.0 * eta
    if "batch_size" not in scheme:
        # Labels of the two copies have a noise of their own: its mean has half the variance, at twice the gradient.
        assert finite_step_sharpness(case.man, case.theta, eta) == pytest.approx(
            2.0 * finite_step_sharpness(once.man, once.theta, eta_once), rel=1e-10
        )
    found = finite_step_gradient(case.man, case.theta, eta, **scheme)
    wanted = 2.0 * finite_step_gradient(once.man, once.theta, eta_once, **scheme)
    assert relative(found, wanted) < 1e-9
    assert relative(found, case.man.gradient(case.theta)) > 1e-3


def test_sgd_follows_the_flow_of_all_samples():
    case = repeated("cubic")
    man, theta = case.man, np.array(case.theta)
    noise, eta, steps = mf.LabelNoise(std=0.3), 2e-4, 40_000
    run = mf.label_noise_sgd(man.network, man.X, man.y, theta, noise=noise, step_size=eta, n_steps=steps, n_runs=16,
                             record_at=[steps], record=("theta", "gradient_norm"))  # fmt: skip
    ends = np.mean([mf.gradient_flow_limit(man, end) for end in run.theta], axis=0)
    flow = mf.sharpness_flow(man, theta, (0.0, run.clock * run.flow_time)).theta[-1]
    once = mf.sharpness_flow(problem_of(case).man, theta, (0.0, run.clock * run.flow_time)).theta[-1]
    way = np.linalg.norm(flow - theta)
    assert np.isfinite(run.history["gradient_norm"]).all()
    assert np.linalg.norm(ends - flow) < 0.1 * way
    assert np.linalg.norm(ends - once) > 2.0 * np.linalg.norm(ends - flow)


# --- what is refused, and what counts as equal ----------------------------------------------------


def test_equal_rows_of_different_labels_are_refused(case):
    y = case.y.copy()
    y[2] += 1e-6
    with pytest.raises(UnreachableLabelsError, match="Rows 0 and 2 of X are equal but their labels are"):
        mf.ZeroLossManifold(case.network, case.X, y)


def test_labels_that_differ_by_rounding_are_taken_for_equal_but_nothing_is_proved_of_them():
    case = repeated("cubic")
    y = case.y.copy()
    y[2] *= 1.0 + 4e-16
    man = mf.ZeroLossManifold(case.network, case.X, y)
    assert relative(man.gradient(case.theta), case.man.gradient(case.theta)) < 1e-12
    assert not exact_zero_loss_point(man, case.theta).certificate.proved


def test_where_no_multiple_of_the_unit_is_of_its_form_equal_rows_are_named():
    # psi depends on a, and not as a multiple of it, with weights that differ.
    case = repeated("two_own")
    assert case.man.distinct.n == 3  # all weights are 1
    network = replace_weights(case.network, [1.0, 2.0, 0.5])
    man = mf.ZeroLossManifold(network, case.X, np.zeros(len(case.y)))
    theta = case.theta
    man = mf.ZeroLossManifold(network, case.X, man.predict(theta))
    assert man.distinct is man
    with pytest.raises(GeometryError, match=r"Rows \d and \d of X are equal, and cannot be taken as one"):
        man.gradient(theta)


def replace_weights(network, weights):
    return replace(network, output_weights=np.array(weights))


@pytest.mark.parametrize("factor", [-1.0, 1.0 + 1e-13])
def test_rows_that_are_multiples_of_others_are_named_where_no_point_is_found(factor):
    case = problem("cubic")
    X = np.concatenate([case.X, factor * case.X[:1]])
    man = mf.ZeroLossManifold(case.network, X, np.append(case.y, case.y[0] + 1.0))
    with pytest.raises(ProjectionError, match=rf"Row 3 of X is {factor:.6g} times row 0"):
        man.random_point(rng=0)


@pytest.mark.parametrize("gap", [1e-16, 1e-12])
def test_rows_that_are_almost_equal_are_two(gap):
    case = problem("cubic")
    X = np.concatenate([case.X, case.X[:1] * (1.0 + gap)])
    man = mf.ZeroLossManifold(case.network, X, np.append(case.y, case.y[0]))
    assert man.repeats.any == (gap == 1e-16)  # rounded, they are equal


def test_rows_of_zeros_are_samples_where_an_own_parameter_acts_on_them():
    case = problem("two_own")  # psi = a c1 (z^3 + z) + c2^2 sin z + 0.3 a c2
    X = np.concatenate([case.X, np.zeros((2, 4))])
    theta = np.array(case.theta)
    label = 0.3 * theta[:, 5].sum()
    made = Problem(case.network, case.psi, X, np.append(case.y, [label, label]))
    assert made.man.distinct.n == 4
    assert relative(made.man.gradient(theta), gradient(made.oracle, theta)) < 1e-11
    assert mf.sharpness_flow(made.man, theta, (0.0, 1e-3)).success
    case = problem("trained")  # c phi(0) = 0 whatever c is
    with pytest.raises(InputError, match="Row 3 of X is zero"):
        mf.ZeroLossManifold(case.network, np.concatenate([case.X, np.zeros((1, 5))]), np.zeros(4))


def test_zero_has_one_sign_in_comparisons():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 2.0]])
    found = repeats_of(X, np.ones((2, 3)), mf.UnitFunction("z**3 + z"))
    assert (found.group.tolist(), found.first.tolist()) == ([0, 0, 1], [0, 2])
    assert repeats_of(X, np.array([[1.0, 2.0, 1.0]]), mf.UnitFunction("z**3 + z")).any is False
    assert repeats_of(X, np.ones((1, 3)), mf.UnitFunction("c**2", own=("c",))).first.tolist() == [0]
    np.testing.assert_allclose(Repeats(np.array([0, 1, 0]), np.array([0, 1])).roots, [np.sqrt(2.0), 1.0])


def test_coordinates_of_repeated_rows_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    X, group = rng.normal(size=(3, 5)), np.array([0, 1, 0, 2, 2])
    once = ReducedCoordinates(X, 1)
    found = once.repeated(group)
    assert found.Q is once.Q
    np.testing.assert_array_equal(found.R, once.R[group])
    W = rng.normal(size=(4, 3))
    np.testing.assert_allclose(found.weights_from_preactivations(W @ found.R.T), W, rtol=1e-12)
    np.testing.assert_allclose(found.frame.inverse.T @ found.R, np.eye(3), atol=1e-12)


def test_a_gradient_on_several_threads_takes_equal_rows_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 400)) / 20.0
    X, y = np.concatenate([X, X[:20]]), np.zeros(80)
    network = mf.TwoLayerNetwork("z**3 + z", width=800)
    theta = rng.normal(size=(800, 400))
    y = mf.ZeroLossManifold(network, X, y).predict(theta)
    man = mf.ZeroLossManifold(network, X, y)
    assert man._parallel_gradient is not None
    W = man.coordinates.reduce(theta)
    assert relative(man.gradient(theta), man.coordinates.expand(man.gradient_at(W)[1])) < 1e-12
