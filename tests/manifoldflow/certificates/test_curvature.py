"""Bounds of the Riemannian Hessian: eigenvalues known exactly, constants a hair too large, negative eigenvalues."""

import mpmath
import numpy as np
import pytest

import manifoldflow as mf
from derivations import UnitFunction, derive
from manifoldflow.certificates import convex_radius, hessian_lower_bound, negative_curvature
from manifoldflow.certificates.curvature import (
    gradient_weight,
    hessian_weight,
    hessian_weights,
    multipliers,
    tangent_floors,
)
from manifoldflow.certificates.features import Ball
from manifoldflow.certificates.interval import Interval
from manifoldflow.certificates.quantities import derivatives
from manifoldflow.errors import GeometryError, InputError
from tests.manifoldflow.conftest import problem


def equal_units():
    """z = 1 in all units: E = 4 phi' phi''' = 4 * 4 * 6 = 96, which is every eigenvalue."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [6.0, 6.0])
    return man, np.ones((3, 2))


def saddle(formula):
    """A point far from stationarity, where the Hessian has a negative eigenvalue."""
    data = mf.datasets.synthetic(n=5, d=20)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=10), data.X, data.y)
    return man, man.random_point(rng=0)


@pytest.mark.parametrize("excess", [0.01, 1e-9, 1e-12])
def test_a_constant_that_is_too_large_is_refused(excess):
    man, theta = equal_units()
    refused = hessian_lower_bound(man, theta, 0.0, bound=96.0 * (1 + excess))
    assert refused.certificate.verdict == "not proved"
    assert "only 95.99999999" in refused.certificate.reason or "only 96 is" in refused.certificate.reason
    assert refused.bound <= 96.0
    assert hessian_lower_bound(man, theta, 0.0, bound=96.0 * (1 - excess)).certificate.proved


def test_a_ball_lowers_the_bound_and_a_large_one_takes_it_away():
    man, theta = equal_units()
    bounds = [hessian_lower_bound(man, theta, radius).bound for radius in (0.0, 1e-9, 1e-3, 1e-2)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > 0.0
    lost = hessian_lower_bound(man, theta, 1.0)
    assert lost.bound == -np.inf
    assert "smaller radius" in lost.certificate.reason or "only known to be" in lost.certificate.reason


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "ill"])
def test_the_bound_is_below_the_spectrum_in_the_ball(name):
    case = problem(name)
    man = case.man
    theta = mf.flattest_point(man).x
    radius = convex_radius(man, theta)
    assert radius > 0.0
    found = hessian_lower_bound(man, theta, radius)
    assert found.certificate.proved
    here = hessian_lower_bound(man, theta, 0.0).bound
    smallest = man.hessian_spectrum(theta)[0]
    assert 0.5 * here <= found.bound <= here <= smallest * (1 + 1e-9)
    if name != "signed":  # with equal units tangency takes nothing away
        assert here > smallest * (1 - 1e-6)
    rng = np.random.default_rng(1)
    for _ in range(10):
        u = man.projection(theta, rng.normal(size=man.shape))
        near = man.retraction(theta, 0.9 * radius * u / np.linalg.norm(u))
        if np.linalg.norm(near - theta) <= radius:
            assert man.hessian_spectrum(near)[0] >= found.bound


def test_the_formulas_are_the_derived_ones():
    """The weights of gradient and Hessian, regrouped here, against the records' expressions at 50 digits."""
    for formula in ("z**3 + z", "tanh(z)", "erf(z) + z**3"):
        unit = UnitFunction(formula)
        derived = {(x.name, x.index): x.expression for x in derive(unit).pointwise}
        with mpmath.workdps(60):
            values = {"z": "0.7", "a": "-1.3", "s": "0.4", "lambda_": "2.9"}
            point = {name: mpmath.mpf(text) for name, text in values.items()}
            phi = derivatives(unit, 3).evaluate(point)
            slopes = [phi[str(order)] for order in (1, 2, 3)]
            found = {
                ("alpha", (0,)): gradient_weight(point["a"], point["s"], *slopes[:2]),
                ("E", (0, 0)): hessian_weight(point["a"], point["s"], *slopes, point["lambda_"]),
            }
            for key, value in found.items():
                expression = derived[key]
                at = {symbol: point[symbol.name] for symbol in expression.free_symbols}
                wanted = mpmath.mpf(str(expression.evalf(56, subs=at)))
                assert abs(value - wanted) < mpmath.mpf(10) ** -50 * (1 + abs(wanted))


@pytest.mark.parametrize("name", ["cubic", "signed", "tanh"])
def test_the_weights_are_enclosed(name):
    """E and lambda by the derived expression lie in the intervals."""
    case = problem(name)
    ball = Ball.around(case.man, case.theta)
    unit = case.man.network.unit
    derived = {(x.name, x.index): x.expression for x in derive(unit).pointwise}["E", (0, 0)]
    lam = multipliers(ball)
    assert np.abs(lam.mid - case.man.multipliers(case.theta)).max() < 1e-10 * (1 + np.abs(lam.mid).max())
    E = hessian_weights(ball)
    names = {symbol.name: symbol for symbol in derived.free_symbols}
    for j in range(case.man.m):
        for i in range(case.man.n):
            values = {"z": ball.z.mid[j, i], "a": case.man.a[j, i], "s": ball.data.s.mid[i], "lambda_": lam.mid[i]}
            point = {names[key]: value for key, value in values.items() if key in names}
            value = float(derived.evalf(50, subs=point))
            size = E.mag[j, i] + 1.0
            assert E.lo[j, i] - 1e-9 * size <= value <= E.hi[j, i] + 1e-9 * size
            assert E.hi[j, i] - E.lo[j, i] < 1e-8 * size


def test_many_units_share_one_block(monkeypatch):
    from manifoldflow.certificates import curvature

    man, theta = equal_units()
    monkeypatch.setattr(curvature, "_WORK", 0.0)
    found = hessian_lower_bound(man, theta, 0.0)
    assert found.blocks in ("samples", "tangent")
    assert 95.999999 < found.bound <= 96.0


def test_tangency_makes_up_for_one_negative_weight():
    """E of the first unit is negative, the Hessian on the one-dimensional tangent space is not."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2, output_weights=[1.0, 2.7]), np.eye(1), [2.0])
    theta = man.nearest_point([[0.19], [0.52]])
    E = hessian_weights(Ball.around(man, theta))
    found = hessian_lower_bound(man, theta, 0.0)
    eigenvalue = man.hessian_spectrum(theta)[0]
    assert E.hi.min() < 0.0 < eigenvalue
    assert found.blocks == "tangent"
    assert eigenvalue * (1 - 1e-9) < found.bound <= eigenvalue * (1 + 1e-12)


def test_floors_on_hyperplanes():
    rng = np.random.default_rng(2)
    for m in (1, 2, 5):
        e, B = rng.normal(size=(m, 40)), rng.normal(size=(m, 40))
        floors = tangent_floors(e, Interval(B))
        for i in range(40):
            normal = B[:, i] / np.linalg.norm(B[:, i])
            basis = np.linalg.svd(np.eye(m) - np.outer(normal, normal))[0][:, : m - 1]
            exact = np.linalg.eigvalsh(basis.T @ np.diag(e[:, i]) @ basis).min(initial=np.inf)
            assert floors[i] <= exact + 1e-12
            assert m == 1 or exact - floors[i] < 1e-9
    twins = tangent_floors(np.array([[2.0], [2.0], [5.0]]), Interval(np.ones((3, 1))))
    assert twins[0] == 2.0
    blurred = tangent_floors(np.array([[-1.0], [3.0]]), Interval(np.array([[0.5], [0.5]]), np.array([[1.5], [1.5]])))
    assert -1.0 <= blurred[0] < 1.0


def test_no_positive_bound_says_why():
    man, theta = saddle("sinh(z)")
    found = hessian_lower_bound(man, theta, 0.0)
    assert not found.certificate.proved
    assert "may have a negative eigenvalue" in found.certificate.reason
    assert "along tangent moves of sample" in found.certificate.reason
    assert convex_radius(man, theta) == 0.0
    wide = problem("wide_data")
    assert "(A2)" in hessian_lower_bound(wide.man, wide.theta, 0.0).certificate.reason


def test_negative_eigenvalues_are_proved():
    for formula in ("sinh(z)", "z**3 + z", "tanh(z)"):
        man, theta = saddle(formula)
        smallest = man.hessian_spectrum(theta)[0]
        found = negative_curvature(man, theta)
        assert found.certificate.proved
        assert smallest * (1 + 1e-6) <= found.bound <= smallest * (1 - 1e-4)
        # A vector that is not nearly an eigenvector proves less, but nothing false.
        assert negative_curvature(man, theta, radius=1e-6).bound >= found.bound * (1 + 1e-9)


def test_no_negative_eigenvalue_is_proved_where_there_is_none():
    man, theta = equal_units()
    found = negative_curvature(man, theta, radius=1e-12)
    assert not found.certificate.proved
    assert not found.bound < 0.0


def test_bad_input():
    man, theta = equal_units()
    with pytest.raises(InputError, match="radius must be"):
        hessian_lower_bound(man, theta, -1.0)
    with pytest.raises(InputError, match="bound must be a finite number"):
        hessian_lower_bound(man, theta, 0.0, bound=np.nan)
    with pytest.raises(GeometryError, match="not on the manifold"):
        negative_curvature(man, theta + 1.0)
