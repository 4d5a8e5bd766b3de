"""The checks on right and wrong input: our manifolds, the sphere, Stiefel manifolds, and pymanopt's."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import autograd
import autograd.numpy as anp
import numpy as np
import pymanopt
import pytest

from manifoldflow import checks
from manifoldflow.checks.differences import differentiate, slope
from manifoldflow.errors import InputError
from tests.manifoldflow.conftest import problem

A = np.diag([1.0, 2.0, 3.0, 5.0])
OURS = ("cubic", "trained", "two_own", "wide_data")  # p = 0, 1, 2 and n > d


class Sphere:
    """The unit sphere; every method can be replaced by a wrong one."""

    def projection(self, point, vector):
        return vector - np.vdot(point, vector) * point

    def retraction(self, point, tangent):
        return (point + tangent) / np.linalg.norm(point + tangent)

    def exp(self, point, tangent):
        size = np.linalg.norm(tangent)
        return np.cos(size) * point + np.sinc(size / np.pi) * tangent

    @property
    def point(self):
        return np.array([0.5, -0.5, 0.1, 0.7]) / np.linalg.norm([0.5, -0.5, 0.1, 0.7])


class Stiefel:
    """Matrices (4, 2) with orthonormal columns, metric of the surrounding space, polar retraction."""

    def projection(self, point, vector):
        both = point.T @ vector
        return vector - point @ (0.5 * (both + both.T))

    def retraction(self, point, tangent):
        left, _, right = np.linalg.svd(point + tangent, full_matrices=False)
        return left @ right

    @property
    def point(self):
        return np.linalg.qr(np.random.default_rng(3).normal(size=(4, 2)))[0]


def cost(x):
    return np.vdot(x, A @ x) + np.sum(x**3)


def euclidean(x):
    return 2.0 * A @ x + 3.0 * x**2


def gradient_on(manifold):
    return lambda x: manifold.projection(x, euclidean(x))


def sphere_hessian(x, u):
    sphere, g = Sphere(), euclidean(x)
    return sphere.projection(x, 2.0 * A @ u + 6.0 * x * u) - np.vdot(x, g) * u


# --- right ones -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_our_manifolds_pass_every_check(name):
    case = problem(name)
    man, theta = case.man, case.theta
    found = [
        checks.check_gradient(man, man.sharpness, man.gradient, theta, oracle=case.oracle.gradient),
        checks.check_hessian(man, man.gradient, man.hessian_vector_product, theta),
        checks.check_hessian(man, man.gradient, man.hessian_vector_product, theta, cost=man.sharpness),
        checks.check_retraction(man, theta, residual=man.residual),
        checks.check_geodesic(man, theta, residual=man.residual),
    ]
    assert [result.verdict for result in found] == ["ok"] * 5, "\n".join(map(str, found))
    assert all(result.relative_error <= result.detection_floor for result in found)
    assert max(result.detection_floor for result in found[:3]) < 1e-7
    assert max(result.detection_floor for result in found) < 1e-5
    assert all(result.window[0] < result.window[1] for result in found)


@pytest.mark.parametrize("manifold", [Sphere(), Stiefel()], ids=["sphere", "Stiefel"])
def test_other_manifolds_pass(manifold):
    gradient = gradient_on(manifold)
    found = checks.check_gradient(manifold, cost, gradient, manifold.point)
    assert (found.verdict, round(found.order)) == ("ok", 2)
    assert checks.check_retraction(manifold, manifold.point).verdict == "ok"


def test_the_sphere_passes_in_full():
    sphere = Sphere()
    found = checks.check_hessian(sphere, gradient_on(sphere), sphere_hessian, sphere.point)
    assert (found.verdict, round(found.order)) == ("ok", 2)
    found = checks.check_hessian(sphere, gradient_on(sphere), sphere_hessian, sphere.point, cost=cost)
    assert (found.verdict, round(found.order)) == ("ok", 3)
    found = checks.check_geodesic(sphere, sphere.point, residual=lambda x: np.linalg.norm(x) - 1.0)
    assert found.ok
    assert found.detection_floor < 1e-6


@pytest.mark.parametrize("name", ["Sphere", "Stiefel", "SymmetricPositiveDefinite"])
def test_pymanopt_manifolds_fit_the_protocol(name):
    sizes = {"Sphere": (4,), "Stiefel": (4, 2), "SymmetricPositiveDefinite": (3,)}[name]
    manifold = getattr(pymanopt.manifolds, name)(*sizes)
    np.random.seed(0)  # noqa: NPY002  (the only way to seed pymanopt)
    point = manifold.random_point()

    @pymanopt.function.autograd(manifold)
    def function(x):
        return anp.sum(anp.sin(x) * x**2) + anp.sum(x)

    task = pymanopt.Problem(manifold, function)
    given = (manifold, task.riemannian_gradient, task.riemannian_hessian, point)
    assert checks.check_gradient(manifold, task.cost, task.riemannian_gradient, point).verdict == "ok"
    assert checks.check_hessian(*given, cost=task.cost).verdict == "ok"
    embedded = name != "SymmetricPositiveDefinite"
    assert checks.check_hessian(*given).verdict == ("ok" if embedded else "not decided")
    assert checks.check_retraction(manifold, point, order=1).verdict == "ok"
    assert checks.check_retraction(manifold, point).verdict in (("ok", "wrong") if embedded else ("not decided",))


# --- wrong ones -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("name", OURS)
def test_wrong_derivatives_of_ours_are_found(name, size):
    case = problem(name)
    man, theta = case.man, case.theta
    w = case.tangent(5)

    def wrong_gradient(x):
        g = man.gradient(x)
        return g + size * np.linalg.norm(g) * man.projection(x, w)

    def wrong_hessian(x, u):
        return (1.0 + size) * man.hessian_vector_product(x, u)

    found = [
        checks.check_gradient(man, man.sharpness, wrong_gradient, theta),
        checks.check_hessian(man, man.gradient, wrong_hessian, theta),
        checks.check_hessian(man, man.gradient, wrong_hessian, theta, cost=man.sharpness),
    ]
    assert [result.verdict for result in found] == ["wrong"] * 3, "\n".join(map(str, found))
    for result in found:
        assert 0.02 * size < result.relative_error < 3.0 * size
    assert found[0].order < 1.9


@pytest.mark.parametrize("size", [1e-4, 1e-6])
def test_wrong_derivatives_on_the_sphere_are_found(size):
    sphere = Sphere()
    right = gradient_on(sphere)
    scaled = lambda x: (1.0 + size) * right(x)  # noqa: E731
    hessian = lambda x, u: sphere_hessian(x, u) + size * u  # noqa: E731
    assert checks.check_gradient(sphere, cost, scaled, sphere.point).verdict == "wrong"
    assert checks.check_hessian(sphere, right, hessian, sphere.point).verdict == "wrong"
    assert checks.check_hessian(sphere, right, hessian, sphere.point, cost=cost).verdict == "wrong"
    # What the oracle alone can see: an error of 1e-9, below the error of differences with this tolerance.
    found = checks.check_gradient(
        sphere, cost, lambda x: right(x) * (1.0 + 1e-9), sphere.point, oracle=right, tolerance=1e-7
    )
    assert (found.verdict, "oracle" in found.reason) == ("wrong", True)


def test_the_floor_is_where_errors_begin_to_be_found():
    sphere = Sphere()
    right = gradient_on(sphere)
    floor = checks.check_gradient(sphere, cost, right, sphere.point).detection_floor
    for factor, verdict in ((3.0, "wrong"), (0.05, "ok")):
        wrong = lambda x, size=factor * floor: (1.0 + size) * right(x)  # noqa: E731
        assert checks.check_gradient(sphere, cost, wrong, sphere.point).verdict == verdict


def test_a_euclidean_gradient_is_not_tangent():
    sphere = Sphere()
    found = checks.check_gradient(sphere, cost, euclidean, sphere.point)
    assert (found.verdict, "not tangent" in found.reason) == ("wrong", True)


def test_a_hessian_without_the_curvature_of_the_sphere_is_wrong():
    sphere = Sphere()
    flat = lambda x, u: sphere.projection(x, 2.0 * A @ u + 6.0 * x * u)  # noqa: E731
    assert checks.check_hessian(sphere, gradient_on(sphere), flat, sphere.point).verdict == "wrong"


def test_a_hessian_that_is_not_symmetric_is_wrong():
    sphere = Sphere()
    turn = np.zeros((4, 4))
    turn[0, 1], turn[1, 0] = 1e-3, -1e-3
    skew = lambda x, u: sphere_hessian(x, u) + sphere.projection(x, turn @ u)  # noqa: E731
    found = checks.check_hessian(sphere, gradient_on(sphere), skew, sphere.point, cost=cost)
    assert (found.verdict, "not symmetric" in found.reason) == ("wrong", True)


class HalfProjected(Sphere):
    def projection(self, point, vector):
        return vector - 0.99 * np.vdot(point, vector) * point


class Oblique(Sphere):
    def projection(self, point, vector):
        along = point + 0.1 * np.roll(point, 1)
        return vector - np.vdot(point, vector) / np.vdot(point, along) * along


class OtherPlane(Sphere):
    def projection(self, point, vector):
        normal = point + 0.01 * np.roll(point, 1)
        return vector - np.vdot(normal, vector) / np.vdot(normal, normal) * normal


@pytest.mark.parametrize(
    ("manifold", "words"),
    [(HalfProjected(), "idempotent"), (Oblique(), "not orthogonal"), (OtherPlane(), "differ")],
    ids=["not idempotent", "oblique", "other plane"],
)
def test_wrong_projections_are_found(manifold, words):
    found = checks.check_retraction(manifold, manifold.point)
    assert (found.verdict, words in found.reason) == ("wrong", True)


class FirstOrder(Sphere):
    """A retraction with a tangential acceleration."""

    def retraction(self, point, tangent):
        bend = self.projection(point, np.roll(point, 1)) * np.vdot(tangent, tangent)
        return super().retraction(point, tangent + 0.3 * bend)


class Drifting(Sphere):
    def retraction(self, point, tangent):
        return super().retraction(point, 1.001 * tangent)


class Leaving(Sphere):
    def retraction(self, point, tangent):
        return point + tangent


def test_a_first_order_retraction_is_no_second_order_one():
    manifold = FirstOrder()
    found = checks.check_retraction(manifold, manifold.point)
    assert found.verdict == "wrong"
    assert abs(found.order - 2.0) < 0.1
    assert checks.check_retraction(manifold, manifold.point, order=1).verdict == "ok"


def test_what_is_no_retraction_is_wrong():
    residual = lambda x: np.linalg.norm(x) - 1.0  # noqa: E731
    for order in (1, 2):
        assert checks.check_retraction(Drifting(), Sphere().point, order=order).verdict == "wrong"
        found = checks.check_retraction(Leaving(), Sphere().point, order=order, residual=residual)
        assert (found.verdict, "not on the manifold" in found.reason) == ("wrong", True)


class Reversed(Sphere):
    """A geodesic whose Christoffel term has the wrong sign: it bends away from the sphere."""

    def exp(self, point, tangent):
        return 2.0 * (point + tangent) - super().exp(point, tangent)


class Accelerating(Sphere):
    def exp(self, point, tangent):
        return super().exp(point, (1.0 + 0.01 * np.linalg.norm(tangent)) * tangent)


class NotStraight(Sphere):
    """Circles of latitude through the point: constant speed, on the sphere, and no geodesics."""

    def exp(self, point, tangent):
        return FirstOrder().retraction(point, tangent)


@pytest.mark.parametrize("manifold", [Reversed(), Accelerating(), NotStraight()], ids=lambda m: type(m).__name__)
def test_wrong_geodesics_are_found(manifold):
    assert checks.check_geodesic(Sphere(), Sphere().point).verdict == "ok"
    assert checks.check_geodesic(manifold, manifold.point).verdict == "wrong"


def test_a_wrong_sign_of_our_own_christoffel_term_is_found():
    case = problem("cubic")

    class Wrong:
        projection, retraction = case.man.projection, case.man.retraction

        def exp(self, theta, u):
            return 2.0 * (theta + u) - case.man.exp(theta, u)

    assert checks.check_geodesic(Wrong(), case.theta, case.tangent(1, 0.05)).verdict == "wrong"


# --- what cannot be decided -----------------------------------------------------------------------


def test_a_coarse_cost_is_not_decided_and_says_how_coarse():
    sphere = Sphere()
    rounded = lambda x: round(float(cost(x)), 3)  # noqa: E731
    found = checks.check_gradient(sphere, rounded, gradient_on(sphere), sphere.point)
    assert found.verdict == "not decided"
    assert found.detection_floor > 1e-4


def test_a_stationary_point_is_not_called_wrong():
    sphere = Sphere()
    linear = lambda x: x[0]  # noqa: E731
    gradient = lambda x: sphere.projection(x, np.eye(4)[0])  # noqa: E731
    assert checks.check_gradient(sphere, linear, gradient, np.eye(4)[0]).verdict == "not decided"


def test_steps_that_are_refused_are_not_used():
    class Narrow(Sphere):
        def retraction(self, point, tangent):
            if np.linalg.norm(tangent) > 1e-3:
                raise np.linalg.LinAlgError("too long")
            return super().retraction(point, tangent)

    sphere = Narrow()
    assert checks.check_gradient(sphere, cost, gradient_on(sphere), sphere.point).verdict == "ok"
    nowhere = lambda x: np.nan  # noqa: E731
    found = checks.check_gradient(sphere, nowhere, gradient_on(sphere), sphere.point)
    assert (found.verdict, found.detection_floor) == ("not decided", np.inf)


def test_arguments():
    sphere = Sphere()
    right = gradient_on(sphere)
    with pytest.raises(InputError, match="manifold must have the methods projection"):
        checks.check_gradient(object(), cost, right, sphere.point)
    with pytest.raises(InputError, match="must have a method exp"):
        checks.check_geodesic(Stiefel(), Stiefel().point)
    with pytest.raises(InputError, match="order must be 1 or 2"):
        checks.check_retraction(sphere, sphere.point, order=3)
    with pytest.raises(InputError, match="point must be finite"):
        checks.check_gradient(sphere, cost, right, np.full(4, np.nan))
    for option in ("n_directions", "resolution", "tolerance", "rng"):
        with pytest.raises(InputError, match=option):
            checks.check_gradient(sphere, cost, right, sphere.point, **{option: -1})


def test_results_are_records_and_repeat():
    sphere = Sphere()
    first, second = (checks.check_gradient(sphere, cost, gradient_on(sphere), sphere.point, rng=5) for _ in range(2))
    assert first == second == pickle.loads(pickle.dumps(first)) == copy.deepcopy(first)
    with pytest.raises(FrozenInstanceError):
        first.verdict = "wrong"
    assert "gradient: ok" in str(first)


# --- the differences ------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("function", [anp.exp, anp.sin, lambda x: 1.0 / (1.0 + x**2 + x), lambda x: x**9 - x])
def test_the_estimated_error_holds(function, order, scale):
    """At the units of the argument that data of any scale bring."""
    derivative = autograd.grad(function) if order == 1 else autograd.grad(autograd.grad(function))
    found = differentiate(lambda t: np.array([function(0.3 + t / scale)]), order, 0.5 * scale)
    exact = derivative(0.3) / scale**order
    assert abs(found.value[0] - exact) <= 4.0 * found.error[0]
    assert found.error[0] <= 1e-7 * abs(exact) + 1e-8 / scale**order
    assert found.window[0] > 0.0


def test_the_noise_of_a_function_is_measured():
    noisy = lambda t: np.array([np.round(np.exp(t), 6)])  # noqa: E731
    found = differentiate(noisy, 1, 1.0)
    assert 1e-7 < found.noise[0] < 1e-5
    assert abs(found.value[0] - 1.0) <= 4.0 * found.error[0]


def test_slopes_leave_rounding_out():
    steps = 0.5 ** np.arange(40)
    order, window = slope(steps, np.maximum(steps**3, 1e-15), 1e-15)
    assert abs(order - 3.0) < 1e-6
    assert window[0] ** 3 > 50e-15
    assert slope(steps, np.zeros(40), 1e-15)[0] is None
