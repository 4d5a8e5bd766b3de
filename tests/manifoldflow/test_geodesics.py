"""Geodesics against SciPy on accelerations by autograd; convexity along them against the oracle's Hessian."""

import dataclasses

import autograd
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import manifoldflow as mf
from manifoldflow import convexity, geodesics
from manifoldflow.errors import GeometryError, InputError
from tests.manifoldflow.conftest import SMALL, problem
from tests.manifoldflow.oracle import Oracle, fitted_order, relative

TIMES = np.array([-0.7, -0.2, 0.0, 0.35, 1.0])


def second_derivative(oracle, theta, v, w):
    """d^2 f [v, w] by two directional derivatives, (n,)."""

    def along(direction):
        return lambda x: autograd.numpy.tensordot(oracle.jacobian(x), direction, axes=([1, 2], [0, 1]))

    return np.tensordot(autograd.jacobian(along(v))(theta), w, axes=([1, 2], [0, 1]))


def by_scipy(case, parts, t, oracle=None):
    """(theta, velocity, carried vectors) at time t: theta'' = -J^T K^{-1} d^2 f[theta', theta'], J by autograd."""
    oracle = oracle or case.oracle
    start = np.stack(parts)

    def field(_, flat):
        state = flat.reshape(start.shape)
        J = oracle.jacobian(state[0]).reshape(case.y.size, -1)
        out = np.empty_like(state)
        out[0] = state[1]
        for k in range(1, len(state)):
            q = second_derivative(oracle, state[0], state[1], state[k])
            out[k] = -(J.T @ np.linalg.solve(J @ J.T, q)).reshape(case.man.shape)
        return out.ravel()

    solution = solve_ivp(field, (0.0, t), start.ravel(), method="DOP853", rtol=1e-13, atol=1e-14)
    return solution.y[:, -1].reshape(start.shape)


# --- geodesics and transport ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "trained", "per_sample", "diagonal", "wide_data", "tanh"])
def test_the_oracle_integrates_the_same_curve(name):
    case = problem(name)
    u = case.tangent(size=0.6)
    curve = case.man.geodesic(case.theta, u, TIMES)
    assert curve.theta.shape == curve.velocity.shape == (5, *case.man.shape)
    for k in (0, 4):
        theta, velocity = by_scipy(case, [case.theta, u], TIMES[k])
        assert relative(curve.theta[k], theta) < 1e-11
        assert relative(curve.velocity[k], velocity) < 1e-11
    np.testing.assert_allclose(curve.theta[2], case.theta, atol=1e-13)
    np.testing.assert_allclose(curve.velocity[2], u, atol=1e-12)


@pytest.mark.parametrize("name", ["cubic", "trained", "per_sample"])
def test_transport_against_the_oracle(name):
    case = problem(name)
    u, v = case.tangent(size=0.6), case.tangent(seed=1)
    carried = by_scipy(case, [case.theta, u, v], 1.0)[2]
    assert relative(case.man.transport(case.theta, v, u), carried) < 1e-11
    assert relative(v, carried) > 1e-3


def test_another_unit_has_another_geodesic():
    """Negative control: a unit that differs by one part in 1e6 is told apart by the comparison above."""
    case = problem("cubic")
    u = case.tangent(size=0.6)
    wrong = Oracle(lambda z, c, a: a * (z**3 + (1 + 1e-6) * z), case.X, case.y, case.oracle.a)
    theta = by_scipy(case, [case.theta, u], 1.0, wrong)[0]
    assert relative(case.man.geodesic(case.theta, u, [1.0]).theta[0], theta) > 1e-9


def test_points_velocities_and_dense_output_agree(each):
    u = each.tangent(size=0.6)
    curve = each.man.geodesic(each.theta, u, TIMES)
    inside = np.linspace(-0.65, 0.95, 7)
    again = each.man.geodesic(each.theta, u, inside)
    for k, t in enumerate(inside):
        theta, velocity = curve.sol(t)
        assert relative(theta, again.theta[k]) < 1e-12
        assert relative(velocity, again.velocity[k]) < 1e-11
        assert np.linalg.norm(velocity) == pytest.approx(0.6, rel=1e-11)
        assert np.abs(each.oracle.output(theta) - each.y).max() < 1e-12 * (1 + np.abs(each.y).max())
    np.testing.assert_allclose(curve.theta[-1], each.man.exp(each.theta, u), atol=1e-12)
    np.testing.assert_allclose(curve.velocity[-1], each.man.transport(each.theta, u, u), atol=1e-11)


def test_directions_orthogonal_to_the_data_are_straight(cubic):
    rows = np.linalg.svd(cubic.X, full_matrices=False)[2]
    outside = np.eye(5) - rows.T @ rows
    u = cubic.direction(seed=2)
    curve = cubic.man.geodesic(cubic.theta, u, TIMES)
    for t, theta, velocity in zip(TIMES, curve.theta, curve.velocity, strict=True):
        np.testing.assert_allclose(theta @ outside, (cubic.theta + t * u) @ outside, atol=1e-13)
        np.testing.assert_allclose(velocity @ outside, u @ outside, atol=1e-13)


def test_a_single_step_has_order_eight(cubic):
    """The error of one step of Dormand and Prince's method falls as h^9, down to rounding."""
    man, u = cubic.man, cubic.tangent()
    W, U = man.coordinates.reduce(np.array(cubic.theta)), man.coordinates.reduce(u)
    straight = np.zeros(man.shape), np.zeros(man.shape)
    one = geodesics.Path(man, np.zeros(1), np.stack([W, U])[None], straight)
    steps = np.array([0.8, 0.6, 0.45])
    errors = []
    for h in steps:
        exact = geodesics.integrate(man, np.stack([W, U]), h)[1][-1]
        errors.append(np.linalg.norm(one._step(0, h) - exact))
    assert errors[-1] > 1e-12
    assert fitted_order(steps, errors) == pytest.approx(9.0, abs=1.0)


@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e6])
def test_tolerances_do_not_depend_on_the_unit_of_theta(scale):
    data = mf.datasets.synthetic(n=3, d=6, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    scaled = mf.ZeroLossManifold(man.network, scale * data.X, data.y)
    theta = man.random_point(rng=0)
    rng = np.random.default_rng(0)
    u, v = (3.0 * man.projection(theta, rng.normal(size=theta.shape)) for _ in range(2))
    end, carried = man.exp(theta, u), man.transport(theta, v, u)
    far = scale * scaled.exp(theta / scale, u / scale)
    assert np.linalg.norm(far - end) < 1e-12 * np.linalg.norm(end)
    # A vector's size is its own, whatever that of the point.
    for size in (1.0, scale, 1.0 / scale):
        moved = scaled.transport(theta / scale, size * v, u / scale) / size
        assert np.linalg.norm(moved - carried) < 1e-11 * np.linalg.norm(carried)


def test_a_geodesic_that_does_not_move_and_one_from_the_origin():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [0.0, 0.0])
    theta = np.zeros((3, 2))
    np.testing.assert_array_equal(man.exp(theta, np.zeros((3, 2))), theta)
    np.testing.assert_array_equal(man.transport(theta, np.zeros((3, 2)), [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]), theta)
    end = man.exp(theta, [[1e-8, 0.0], [-1e-8, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(end, [[1e-8, 0.0], [-1e-8, 0.0], [0.0, 0.0]], rtol=1e-12, atol=1e-22)


def test_the_record_is_immutable(cubic):
    curve = cubic.man.geodesic(cubic.theta, cubic.tangent(), [0.0, 1.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        curve.t = None
    for array in (curve.t, curve.theta, curve.velocity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    assert repr(curve).startswith("Geodesic(t = 0 to 1, speed 1, ")


def test_times_that_make_no_sense(cubic):
    man, u = cubic.man, cubic.tangent()
    for t in ([], [1.0, 1.0], [2.0, 1.0], [np.nan], [[0.0, 1.0]], 1.0, "now"):
        with pytest.raises(InputError, match=r"^t must"):
            man.geodesic(cubic.theta, u, t)
    curve = man.geodesic(cubic.theta, u, [0.0, 1.0])
    for t in (1.5, -0.1, np.nan, "0.5", None, True):
        with pytest.raises(InputError, match=r"integrated span \[0, 1\]"):
            curve.sol(t)


def test_a_geodesic_that_leaves_the_domain_says_how_far_it_came():
    # log z_1 + log z_2 = 0 runs into z_2 = 0 when its unit is pulled there fast enough: never; but 1/z does, at z = 0.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sqrt(z)", width=2), [[1.0]], [2.0])
    theta = np.array([[1.0], [1.0]])
    for speed in (2.5, 3.0, 4.0, 6.0, 10.0):  # also where a step jumps over the end of the domain
        with pytest.raises(GeometryError, match=r"could be followed to t = .* only: .*shorter"):
            man.geodesic(theta, [[speed], [-speed]], [0.0, 1.0])
    inside = man.geodesic(theta, [[0.3], [-0.3]], [0.0, 1.0]).theta[-1]
    assert np.sqrt(inside).sum() == pytest.approx(2.0, rel=1e-13)


# --- convexity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_derivatives_along_a_geodesic_are_the_oracles(name):
    case = problem(name)
    u = case.tangent(size=0.5)
    found = mf.geodesic_convexity(case.man, case.theta, u, n_points=33)
    curve = case.man.geodesic(case.theta, u, found.t)
    for k in (0, 13, 32):
        theta, v = curve.theta[k], curve.velocity[k]
        assert found.sharpness[k] == pytest.approx(case.oracle.sharpness(theta), rel=1e-11)
        assert found.first[k] == pytest.approx(np.vdot(case.oracle.gradient(theta), v), abs=1e-9 * found.sharpness[0])
        wanted = np.vdot(case.oracle.hessian_vector_product(theta, v), v)
        assert abs(found.second[k] - wanted) <= found.second_error[k]
    assert found.consistent
    assert found.smallest <= found.second.min()


@pytest.mark.parametrize("name", SMALL)
def test_errors_of_second_differences_are_neither_missed_nor_exaggerated(name):
    case = problem(name)
    found = mf.geodesic_convexity(case.man, case.theta, case.tangent(size=0.5), n_points=65)
    seen = np.abs(found.second_difference - found.second[1:-1])
    allowed = found.difference_error + found.second_error[1:-1]
    assert np.all(seen <= allowed)
    assert seen.max() > 1e-4 * allowed.max()


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_convex_around_the_flattest_point(name):
    # S3: there the Hessian is bounded below; and the curvature is between the extreme eigenvalues.
    case = problem(name)
    theta = mf.flattest_point(case.man, case.theta).x
    u = case.man.projection(theta, case.direction(seed=3, size=0.05))
    found = mf.geodesic_convexity(case.man, theta, u, t_span=(-1.0, 1.0))
    assert found.verdict == "convex"
    assert 0.0 < found.lower_bound <= found.smallest
    assert found.smallest_at == pytest.approx(found.t[np.argmin(found.second)], abs=found.t[1] - found.t[0])
    low, high = case.man.hessian_spectrum(theta)[[0, -1]]
    middle = found.second[found.t.size // 2]
    inside = case.man.projection(theta, u @ np.linalg.pinv(case.X) @ case.X)
    assert low * np.vdot(inside, inside) * 0.999 <= middle <= high * np.vdot(inside, inside) * 1.001


def test_not_convex_at_a_local_maximum():
    # S11: for tanh the rank-one point is a maximum in the features where phi''' < 0.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=2), [[1.0]], [2.0 * np.tanh(0.1)])
    theta = np.full((2, 1), 0.1)
    found = mf.geodesic_convexity(man, theta, [[1.0], [-1.0]], t_span=(-0.2, 0.2))
    assert found.verdict == "not convex"
    assert found.smallest < -found.second_error.max()
    assert found.consistent
    assert "below 0" in found.message


def test_a_constant_sharpness_is_undecided():
    # z^2 with equal weights: F = 8 sum_i s_i y_i on all of M, and its second derivatives are rounding.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=3), np.eye(2), [1.0, 2.0])
    theta = man.random_point(rng=0)
    found = mf.geodesic_convexity(man, theta, np.random.default_rng(0).normal(size=(3, 2)))
    assert found.verdict == "undecided"
    assert "not told from 0" in found.message
    np.testing.assert_allclose(found.sharpness, 24.0, rtol=1e-12)


def measured(function, second, n=65, noise=1e-15, error=1e-12, smallest=None):
    """What `judge` says of F = function(t) on [-1, 1] when told that its second derivative is `second`."""
    t = np.linspace(-1.0, 1.0, n)
    values = second(t)
    low = values.min() if smallest is None else smallest
    return convexity.judge(
        t, function(t), np.zeros(n), values, np.full(n, error), np.full(n, noise), smallest=low, smallest_at=0.0
    )


def test_the_judge_on_functions_of_known_convexity():
    assert measured(np.exp, np.exp).verdict == "convex"
    assert measured(np.sin, lambda t: -np.sin(t)).verdict == "not convex"
    assert measured(lambda t: t**4, lambda t: 12 * t**2).verdict == "undecided"
    assert measured(lambda t: 3.0 + 2.0 * t, np.zeros_like).verdict == "undecided"


@pytest.mark.parametrize("factor", [1.001, 0.999, -1.0])
def test_the_judge_sees_a_wrong_hessian(factor):
    """Negative control: a second derivative off by 1e-3 contradicts the second differences."""
    found = measured(np.exp, lambda t: factor * np.exp(t))
    assert not found.consistent
    assert found.verdict == "undecided"
    assert "disagree" in found.message


def test_the_judge_does_not_trust_what_lies_between_the_times():
    # 1 - cos(40 t): the second derivative is positive at these nine times only.
    n, w = 9, 8 * np.pi
    assert measured(lambda t: -np.cos(w * t) / w**2, lambda t: np.cos(w * t), n, smallest=1.0).verdict == "undecided"
    # Positive and resolved at 5 times, but for the bend between them.
    assert measured(lambda t: t**4 / 12 + 0.01 * t**2, lambda t: t**2 + 0.02, 5, smallest=0.02).verdict == "undecided"
    assert measured(lambda t: t**4 / 12 + 0.01 * t**2, lambda t: t**2 + 0.02, 65, smallest=0.02).verdict == "convex"


def test_rounding_drowns_differences_and_is_said_to(cubic):
    t = np.linspace(-1e-6, 1e-6, 33)
    found = mf.geodesic_convexity(cubic.man, cubic.theta, cubic.tangent(), t_span=(t[0], t[-1]), n_points=33)
    assert found.consistent
    assert found.difference_error.min() > 1e-3 * abs(found.second[0])


def test_the_result_is_immutable_and_prints(cubic):
    found = mf.geodesic_convexity(cubic.man, cubic.theta, cubic.tangent(), n_points=9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.verdict = "convex"
    for array in (found.t, found.sharpness, found.first, found.second, found.second_error, found.second_difference):
        assert not array.flags.writeable
    assert repr(found).startswith(f"GeodesicConvexity({found.verdict}: smallest second derivative")


def test_bad_arguments_of_the_measurement(cubic):
    man, theta, u = cubic.man, cubic.theta, cubic.tangent()
    for points in (4, 0, 2.5, None):
        with pytest.raises(InputError, match="n_points must be"):
            mf.geodesic_convexity(man, theta, u, n_points=points)
    for span in ((1.0, 0.0), (0.0, 0.0), (0.0, np.inf), (0.0,), "all"):
        with pytest.raises(InputError, match="t_span"):
            mf.geodesic_convexity(man, theta, u, t_span=span)
    with pytest.raises(InputError, match="ZeroLossManifold; got int"):
        mf.geodesic_convexity(3, theta, u)
    with pytest.raises(GeometryError, match="not on the manifold"):
        mf.geodesic_convexity(man, theta + 1.0, u)
