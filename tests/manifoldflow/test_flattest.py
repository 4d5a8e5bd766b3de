"""The flattest point against SciPy's constrained optimiser on the oracle, the flow's end, closed forms, S1, S2, S10."""

import warnings

import autograd
import numpy as np
import pytest
from scipy.optimize import NonlinearConstraint, OptimizeResult, brentq, minimize

import manifoldflow as mf
from manifoldflow import flattest, trust_region
from manifoldflow.errors import AssumptionWarning, GeometryError, InputError
from manifoldflow.spectrum import DiagonalHessian
from manifoldflow.trust_region import minimise
from tests.manifoldflow.conftest import problem

WEIGHTS = {
    "equal": None,
    "positive": [0.5, 1.0, 2.0, 3.0],
    "signed": [1.0, -2.0, 0.5, 1.5],
    "all negative": [-1.0, -1.0, -2.0, -0.5],
}


def manifold(formula, weights, labels=1.0):
    rng = np.random.default_rng(21)
    X, y = rng.normal(size=(3, 5)), labels * rng.normal(size=3)
    return mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=4, output_weights=weights), X, y)


def by_scipy(oracle, start):
    """Minimise F = 2 sum |grad f_i|^2 subject to f = y, from `start`, with derivatives by autograd."""
    shape = start.shape

    def jacobian(flat):
        return oracle.jacobian(flat.reshape(shape)).reshape(oracle.y.size, -1)

    return minimize(
        lambda flat: oracle.sharpness(flat.reshape(shape)),
        start.ravel(),
        jac=lambda flat: autograd.grad(oracle.sharpness)(flat.reshape(shape)).ravel(),
        constraints=NonlinearConstraint(
            lambda flat: oracle.output(flat.reshape(shape)), oracle.y, oracle.y, jac=jacobian
        ),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_scipy_finds_the_same_minimum(name):
    case = problem(name)
    found = mf.flattest_point(case.man, case.theta)
    other = by_scipy(case.oracle, case.theta)
    assert np.abs(case.oracle.output(other.x.reshape(case.man.shape)) - case.y).max() < 1e-8
    assert found.fun == pytest.approx(other.fun, rel=1e-8)
    Z = case.man.preactivations(other.x.reshape(case.man.shape))
    np.testing.assert_allclose(case.man.preactivations(found.x), Z, atol=1e-4)
    assert found.is_global


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)"])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("labels", [1.0, 100.0])
def test_it_is_where_the_flow_ends(formula, weights, labels):
    man = manifold(formula, weights, labels)
    theta = man.random_point(rng=0)
    found = mf.flattest_point(man, theta)
    end = mf.sharpness_flow(man, theta, method="implicit")
    assert end.status == "stationary"
    np.testing.assert_allclose(end.theta[-1], found.x, atol=1e-9 * np.abs(found.x).max())
    assert end.sharpness[-1] == pytest.approx(found.fun, rel=1e-11)
    assert found.is_global
    assert found.success


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_curvatures_agree_over_the_units(weights):
    # S10: a_j phi''(z_ji) = k_i for all j; here phi'' = 6 z, so a_j z_ji is the same for all units.
    man = manifold("z**3 + z", weights)
    found = mf.flattest_point(man)
    products = man.network.output_weights[:, None] * man.preactivations(found.x)
    np.testing.assert_allclose(products, np.repeat(products[:1], 4, axis=0), atol=1e-12)
    assert np.abs(man.residual(found.x)).max() < 1e-12


@pytest.mark.parametrize(
    ("formula", "phi", "slope"),
    [
        ("z**3 + z", lambda z: z**3 + z, lambda z: 3 * z**2 + 1),
        ("z**3 + z/4", lambda z: z**3 + z / 4, lambda z: 3 * z**2 + 0.25),
        ("sinh(z)", np.sinh, np.cosh),
    ],
)
def test_equal_weights_give_the_closed_form(formula, phi, slope):
    # S2: every unit has z_ji = phi^{-1}(y_i / m), and F* = 2 m sum_i s_i phi'(phi^{-1}(y_i / m))^2.
    man = manifold(formula, None)
    found = mf.flattest_point(man)
    z = np.array([brentq(lambda t, y=y: phi(t) - y / man.m, -50.0, 50.0, xtol=1e-15) for y in man.y])
    np.testing.assert_allclose(man.preactivations(found.x), np.repeat(z[None], man.m, axis=0), atol=1e-12)
    s = (man.X**2).sum(axis=1)
    assert found.fun == pytest.approx(2 * man.m * np.sum(s * slope(z) ** 2), rel=1e-12)


def test_no_point_seen_is_flatter():
    man = manifold("z**3 + z", WEIGHTS["signed"])
    best = mf.flattest_point(man).fun
    values = [man.sharpness(man.random_point(rng=seed, scale=scale)) for seed in range(20) for scale in (0.3, 1.0)]
    assert min(values) > best


def test_the_part_orthogonal_to_the_data_is_that_of_theta0(cubic):
    found = mf.flattest_point(cubic.man, cubic.theta)
    without = mf.flattest_point(cubic.man)
    rows = np.linalg.svd(cubic.X, full_matrices=False)[2]
    outside = np.eye(5) - rows.T @ rows
    np.testing.assert_allclose(found.x @ outside, cubic.theta @ outside, atol=1e-14)
    np.testing.assert_allclose(without.x @ outside, 0.0, atol=1e-14)
    np.testing.assert_allclose(found.x @ cubic.X.T, without.x @ cubic.X.T, atol=1e-13)


def test_the_result_is_scipys(cubic):
    found = mf.flattest_point(cubic.man)
    assert isinstance(found, OptimizeResult)
    assert (found.status, found.success) == (0, True)
    assert found.fun == pytest.approx(cubic.oracle.sharpness(found.x), rel=1e-12)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(found.jac))
    assert found.gradient_norm < 1e-12
    assert "S13" in found.message


@pytest.mark.parametrize("name", ["tanh", "wide_data", "trained", "per_sample"])
def test_where_the_theorem_does_not_apply_the_result_is_local(name):
    case = problem(name)
    found = mf.flattest_point(case.man, case.theta)
    assert not found.is_global
    assert "local" in found.message
    assert found.success is found.attained is (name != "tanh")
    assert np.abs(case.oracle.output(found.x) - case.y).max() < 1e-11
    assert np.linalg.norm(case.oracle.gradient(found.x)) < 1e-7
    assert found.fun < case.oracle.sharpness(case.theta)
    assert case.man.hessian_spectrum(found.x)[0] > -1e-6 * found.fun
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        sol = mf.sharpness_flow(case.man, case.theta, method="implicit", gradient_tolerance=1e-8)
    # tanh ends in its flat tails, where a gradient of 1e-8 is reached early.
    assert sol.sharpness[-1] == pytest.approx(found.fun, rel=1e-6)


def test_the_exponential_with_signs_has_no_flattest_point_to_claim():
    # a_j e^(z_ji) = k_i for all j is impossible when the a_j differ in sign: nothing global may be claimed.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=2, output_weights=[1.0, -1.0]), [[1.0]], [1.0])
    found = mf.flattest_point(man)
    assert not found.is_global


def test_positive_exponentials():
    # Equal weights: z_ji = log(y_i / m). Towards -oo phi' has no lower bound, so S7 confines nothing: not claimed.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=3), np.eye(2), [0.3, 30.0])
    found = mf.flattest_point(man)
    assert found.success
    assert not found.is_global
    np.testing.assert_allclose(found.x, np.repeat(np.log([[0.1, 10.0]]), 3, axis=0), atol=1e-8)


def test_bad_arguments(cubic):
    with pytest.raises(InputError, match="ZeroLossManifold; got str"):
        mf.flattest_point("manifold")
    with pytest.raises(GeometryError, match="not on the manifold"):
        mf.flattest_point(cubic.man, cubic.theta + 1.0)
    with pytest.raises(InputError, match=r"shape \(4, 5\)"):
        mf.flattest_point(cubic.man, np.zeros((1, 5)))


# --- the scalar equations -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-8, 1e-3, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_extreme_labels_of_the_sinh_have_a_closed_form(size, weights):
    # a_j sinh z_ji = k_i for all j, so k_i = y_i / m and z_ji = arsinh(y_i / (m a_j)).
    y = size * np.array([1.0, -0.3, 0.02])
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sinh(z)", width=4, output_weights=weights), np.eye(3), y)
    found = mf.flattest_point(man)
    wanted = np.arcsinh(y / (4 * man.network.output_weights[:, None]))
    assert found.is_global
    np.testing.assert_allclose(man.preactivations(found.x), wanted, rtol=1e-12, atol=1e-23)


@pytest.mark.parametrize("size", [1e-8, 1e-3, 1.0, 1e4, 1e8])
def test_extreme_labels_of_the_cubic_with_signs(size):
    # a_j z_ji = k_i / 6 for all j leaves one cubic equation for k_i, here solved by bisection.
    a = np.array([1e-2, -3.0, 0.5, 40.0])
    y = size * np.array([1.0, -0.3])
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4, output_weights=a), np.eye(2), y)
    found = mf.flattest_point(man)
    k = np.array([brentq(lambda k, v=v: np.sum(a * ((k / a) ** 3 + k / a)) - v, -1e9, 1e9, xtol=1e-300) for v in y])
    assert found.is_global
    np.testing.assert_allclose(man.preactivations(found.x), k / a[:, None], rtol=1e-11)


def test_labels_of_all_sizes_at_once():
    y = np.array([1e8, -1e-8, 0.0, 1.0, -1e4])
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sinh(z)", width=3, output_weights=[1.0, -1.0, 2.0]), np.eye(5), y)
    Z = flattest._solve_equations(man)
    np.testing.assert_allclose(Z, np.arcsinh(y / (3 * np.array([[1.0], [-1.0], [2.0]]))), rtol=1e-13)


@pytest.mark.parametrize("size", [1e12, 1e17, 1e20])
@pytest.mark.parametrize("weights", [None, [1.0, -2.0, 1.0, -0.5]])
def test_rows_of_j_of_very_different_lengths_do_not_make_it_singular(size, weights):
    data = mf.datasets.synthetic(n=3, d=5, rng=0)
    y = np.array([1.0, size, -1.0])
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sinh(z)", width=4, output_weights=weights), data.X, y)
    found = mf.flattest_point(man)
    assert found.success
    assert found.is_global
    wanted = np.arcsinh(y / (4 * man.network.output_weights[:, None]))
    np.testing.assert_allclose(man.preactivations(found.x), wanted, rtol=1e-12)
    assert np.abs(man.residual(found.x) / y).max() < 1e-12


def test_the_equations_agree_with_trust_regions_on_stiff_data(digits_run):
    # Independent ways to one point: S13's equations, trust regions on M, and the flow's end; cond(G) ~ 1e6.
    man, theta, end = digits_run
    found = mf.flattest_point(man, theta)
    run = minimise(man, man.coordinates.reduce(theta), 1000)
    assert run.verdict == "minimum"
    assert float(run.point.F) == pytest.approx(found.fun, rel=1e-13)
    assert end.sharpness[-1] == pytest.approx(found.fun, rel=1e-11)
    np.testing.assert_allclose(man.coordinates.expand(run.point.W) @ man.X.T, man.preactivations(found.x), atol=1e-9)


@pytest.mark.parametrize("formula", ["z**5 - z**3 + z", "tanh(z)", "z + 0.3*sin(3*z)", "log(z)"])
def test_nothing_global_is_claimed_where_a1_fails(formula):
    # phi' > 0 for all of these but phi''' changes sign, or phi' has no bound from below at an end of the domain.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), np.eye(2), [0.3, 0.2])
    assert flattest._relaxed_minimum(man) is None
    assert not mf.flattest_point(man, n_starts=2).is_global


@pytest.mark.parametrize("weights", [None, [1.0, -0.7, 0.4]])
@pytest.mark.parametrize("labels", [[0.3, 0.2], [0.3, 0.0]])
def test_zeros_of_the_third_derivative_that_stand_alone_leave_f_strictly_convex(labels, weights):
    # phi'' = 20 z^3 increases although phi''' = 60 z^2 vanishes at 0.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**5 + z", 3, weights), np.eye(2), labels)
    found = mf.flattest_point(man)
    assert (found.is_global, found.evidence) == (True, "grid")
    run = minimise(man, man.coordinates.reduce(man.random_point(rng=0)), 1000)
    assert float(run.point.F) == pytest.approx(found.fun, rel=1e-12)
    # The control, of the check: zeros side by side are a flat piece of phi'', and a dip is none of the two.
    thirds = 60.0 * np.linspace(-1.0, 1.0, 9) ** 2
    assert flattest._increases(thirds)
    assert not flattest._increases(np.minimum(np.maximum(thirds - 10.0, 0.0), 1.0))
    assert not flattest._increases(thirds - 1e-12)


def test_a_far_flat_region_is_seen():
    # phi' = 1 + 3 z^2 near 0 but falls to 0 again far out: an equally flat point could lie there.
    unit = "z + z**3*exp(-z**2/1000)"
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(unit, width=2), np.eye(2), [0.3, 0.2])
    assert flattest._solve_equations(man) is not None
    assert flattest._relaxed_minimum(man) is None


def test_a_second_flat_interval_is_seen():
    # phi' = 1 + z^2 (z - 10)^2 / 100 is as flat at z = 10 as at 0: the sublevel set has two parts.
    unit = "z + z**3/3 - z**4/20 + z**5/500"
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(unit, width=2), np.eye(2), [0.03, 0.02])
    assert flattest._solve_equations(man) is not None
    assert flattest._relaxed_minimum(man) is None
    # Negative control: without the second well the same labels have a proof.
    single = mf.ZeroLossManifold(mf.TwoLayerNetwork("z + z**3/3", width=2), np.eye(2), [0.03, 0.02])
    assert flattest._relaxed_minimum(single) is not None


# --- trust regions --------------------------------------------------------------------------------


def order_at_the_end(norms, floor):
    """Order p of |g_{k+1}| ~ |g_k|^p from the last three norms above rounding."""
    a, b, c = np.log([norm for norm in norms if norm > 10.0 * floor][-3:])
    return (c - b) / (b - a)


@pytest.mark.parametrize("name", ["cubic", "sinh", "trained", "two_own", "wide_data"])
def test_convergence_is_quadratic(name):
    man, theta = problem(name).man, problem(name).theta
    run = minimise(man, man.coordinates.reduce(np.array(theta)), 100)
    assert run.verdict == "minimum"
    assert order_at_the_end(run.norms, run.point.floor) > 1.7


def test_with_a_wrong_hessian_it_is_not(monkeypatch):
    """Negative control: a Hessian that is 5 % too large gives linear convergence, with the factor 0.05."""
    right = trust_region.diagonalise

    def wrong(problem, work, keep_bases):
        hessian = right(problem, work, keep_bases)
        return DiagonalHessian(1.05 * hessian.e, hessian.C, hessian.bases)

    monkeypatch.setattr(trust_region, "diagonalise", wrong)
    man, theta = problem("trained").man, problem("trained").theta
    run = minimise(man, man.coordinates.reduce(np.array(theta)), 100)
    assert order_at_the_end(run.norms, run.point.floor) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["wide_data", "trained", "two_own", "per_sample"])
def test_the_smallest_curvature_is_that_of_the_oracle(name):
    case = problem(name)
    found = mf.flattest_point(case.man, case.theta)
    spectrum = case.oracle.spectrum(found.x)
    assert found.smallest_curvature == pytest.approx(spectrum[0], abs=1e-10 * spectrum[-1])
    assert found.message.startswith("Minimum: the gradient is rounding")
    assert found.attained


def tanh_saddle():
    """M's rank-one point for tanh near 0: stationary, and a maximum in the features (S11)."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=3), np.eye(2), 3 * np.tanh([0.1, 0.2]))
    return man, np.repeat([[0.1, 0.2]], 3, axis=0)


def test_a_stationary_point_that_is_no_minimum_is_said_to_be_none():
    man, theta = tanh_saddle()
    found = mf.flattest_point(man, theta, max_iterations=0)
    assert np.linalg.norm(found.jac) < 1e-13
    assert (found.success, found.status) == (False, 2)
    assert found.smallest_curvature == pytest.approx(man.hessian_spectrum(theta)[0], rel=1e-10)
    assert found.smallest_curvature < -1.0
    assert "Stationary, but not a minimum: the smallest curvature -" in found.message


def test_saddles_are_left():
    man, theta = tanh_saddle()
    found = mf.flattest_point(man, theta)
    assert found.fun < 0.5 * man.sharpness(theta)
    assert found.status != 2


def test_a_minimum_at_infinity_is_said_not_to_be_attained():
    # Two units of tanh for one label 0.3: F = 2 sum (1 - t^2)^2 with t_1 + t_2 = 0.3 is smallest at t_1 = 1 (or t_2).
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=2), [[1.0]], [0.3])
    found = mf.flattest_point(man, n_starts=4)
    assert not found.attained
    assert (found.success, found.status, found.n_minima) == (False, 3, 0)
    assert found.message.startswith("Not attained")
    assert found.fun == pytest.approx(2 * (1 - 0.7**2) ** 2, rel=1e-7)
    assert np.abs(found.x).max() > 5.0


@pytest.mark.parametrize(("formula", "labels"), [("atan(z)", [0.3, 0.7]), ("asinh(z)", [0.0, 0.0])])
def test_powers_run_away_too_and_are_stopped(formula, labels):
    # The curvature along the way is negative beyond its rounding to the end, 1e5 times as far out as the start.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=3), np.eye(2), labels)
    found = mf.flattest_point(man, n_starts=3)
    assert (found.attained, found.success, found.status) == (False, False, 3)
    assert found.message.startswith("Not attained")


@pytest.mark.parametrize("weights", [None, [2.0, 2.0, 2.0]])
@pytest.mark.parametrize("formula", ["z**2", "z**2 + z", "z"])
def test_a_constant_sharpness_is_said_to_be_constant(formula, weights):
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=3, output_weights=weights), np.eye(2), [1.0, 2.0])
    theta = man.random_point(rng=7)
    found = mf.flattest_point(man, theta)
    assert found.is_global
    assert found.message.startswith("F is constant on M")
    np.testing.assert_array_equal(found.x, theta)
    others = [man.sharpness(man.random_point(rng=seed)) for seed in range(5)]
    np.testing.assert_allclose(others, found.fun, rtol=1e-11)


def test_a_square_with_unequal_weights_is_not_called_constant():
    """Negative control: a_j phi'' differs between the units, and F over M does too."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=2, output_weights=[1.0, 2.0]), np.eye(2), [1.0, 2.0])
    assert np.ptp([man.sharpness(man.random_point(rng=seed)) for seed in range(5)]) > 0.1
    found = mf.flattest_point(man, n_starts=2)
    assert "constant" not in found.message


def test_several_starts_find_the_best_of_several_minima():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**4 + z", width=3), [[1.0, 0.2, 0.0], [0.0, 1.0, -0.5]], [0.3, 0.7])
    alone = [mf.flattest_point(man, n_starts=1, rng=seed) for seed in range(6)]
    values = np.unique(np.round([one.fun for one in alone], 8))
    assert values.size > 1
    assert all(one.success for one in alone)
    found = mf.flattest_point(man, n_starts=12, rng=1)
    assert found.fun <= values.min() + 1e-8
    assert found.n_minima >= 2
    assert f"12 starts found {found.n_minima} local minima" in found.message
    again = mf.flattest_point(man, n_starts=12, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again.x, found.x)


def test_a_first_start_is_counted_among_the_starts():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**4 + z", width=3), [[1.0, 0.2, 0.0], [0.0, 1.0, -0.5]], [0.3, 0.7])
    theta = man.random_point(rng=5)
    alone = mf.flattest_point(man, theta)
    assert "from one start" in alone.message
    more = mf.flattest_point(man, theta, n_starts=4)
    assert "4 starts found" in more.message
    assert more.fun <= alone.fun


def test_a_point_at_the_lower_bound_is_global_with_dependent_samples():
    # n > d, labels of a network of equal units: S13's relaxed minimum is on M, though the theorem does not apply.
    rng = np.random.default_rng(0)
    X, feature = rng.normal(size=(5, 3)), rng.normal(size=3)
    labels = 4 * ((X @ feature) ** 3 + X @ feature)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), X, labels)
    found = mf.flattest_point(man, n_starts=2)
    assert found.is_global
    assert found.success
    assert found.fun == pytest.approx(man.sharpness(np.repeat([feature], 4, axis=0)), rel=1e-10)
    assert "at its lower bound by S13" in found.message
    # Negative control: other labels, and the bound is missed.
    other = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), X, labels + 0.1)
    found = mf.flattest_point(other, n_starts=2)
    assert not found.is_global
    assert 0.0 < found.lower_bound < found.fun * (1 - 1e-6)


def test_too_few_iterations_are_not_a_minimum():
    case = problem("trained")
    found = mf.flattest_point(case.man, case.theta, max_iterations=2)
    assert (found.success, found.status, found.nit) == (False, 1, 2)
    assert "Not stationary yet" in found.message
    assert mf.flattest_point(case.man, case.theta).nit > 2


def test_a_manifold_of_points_has_isolated_minima():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=1), np.eye(2), [0.5, 0.5])
    found = mf.flattest_point(man)
    np.testing.assert_allclose(found.x, np.arctanh([[0.5, 0.5]]), rtol=1e-12)
    assert "dimension 0" in found.message


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("n_starts", 0, "n_starts must be"), ("n_starts", 1.5, "n_starts must be"),
        ("rng", None, "rng must be"), ("rng", "seed", "rng must be"),
        ("max_iterations", -1, "max_iterations must be"), ("max_iterations", 2.0, "max_iterations must be"),
    ],
)  # fmt: skip
def test_bad_options(cubic, option, value, text):
    with pytest.raises(InputError, match=text):
        mf.flattest_point(cubic.man, **{option: value})


@pytest.mark.parametrize("formula", ["z**3 + z", "z**3 + z + 1e-9*erf(1e5*(z - 0.1234567))"])
def test_what_a_grid_saw_is_said_to_be_seen_on_a_grid(formula):
    # The second has a dip of phi''' that is 1e-5 wide and that no grid of ours sees; both rest on the same evidence.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), np.eye(2), [3.0, 1.0])
    found = mf.flattest_point(man)
    assert (found.is_global, found.evidence) == (True, "grid")
    assert "seen on a grid" in found.message


def test_nothing_global_is_claimed_across_a_pole():
    # log(z) + z**3 is real for z > 0 only, but its derivatives are finite below too, and phi' is 0 there.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("log(z) + z**3", width=2), np.eye(2), [3.0, 1.0])
    found = mf.flattest_point(man, n_starts=2)
    assert (found.is_global, found.evidence) == (False, None)
    assert "A local statement" in found.message


def test_the_evidence_of_other_models():
    X, y = np.random.default_rng(0).normal(size=(3, 5)), np.ones(3)
    assert mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)).evidence == "dual"
    constant = mf.flattest_point(mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=2), X, y))
    assert (constant.evidence, "seen on a grid" in constant.message) == ("grid", True)


@pytest.mark.parametrize("seed", range(3))
def test_steps_do_not_wander_along_parameters_that_change_nothing(seed):
    # A bias and a shift of the weights undo each other: five directions without curvature. Conjugate gradients used to
    # follow rounding along them, up to |theta| = 800, and the minimum was said not to be attained.
    rng = np.random.default_rng(seed)
    net = mf.TwoLayerNetwork(mf.UnitFunction("(z + b)**3 + z + b", own=("b",)), width=5)
    X, theta = rng.normal(size=(3, 6)) / np.sqrt(6.0), 0.7 * rng.normal(size=(5, 7))
    man = mf.ZeroLossManifold(net, X, mf.ZeroLossManifold(net, X, np.zeros(3)).predict(theta))
    found = mf.flattest_point(man, theta)
    assert (found.success, found.attained, found.status) == (True, True, 0)
    assert "zero to rounding" in found.message
    assert np.linalg.norm(found.x) < 2.0 * np.linalg.norm(theta)
    assert found.fun == pytest.approx(mf.sharpness_flow(man, theta).sharpness[-1], rel=1e-12)
