"""What is measured agrees with the manifold's own kernels and with the statement records' constants."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

import manifoldflow as mf
from manifoldflow.assumptions import constants
from verification.search import INEQUALITIES, Family
from verification.search.extrema import extrema, interval
from verification.search.geometry import Geometry, geometry, refined_eigenvalue, spectrum
from verification.search.inequalities import Region
from verification.search.layout import Layout
from verification.search.measured import Data, measured, stated_slope

CUBIC = Family.of("z**3 + nu*z", {"nu": (0.05, 5.0)})
VALUES = (0.75,)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 2))
THETA = RNG.normal(size=(3, 2))


def point(a: np.ndarray) -> tuple[Geometry, mf.ZeroLossManifold]:
    found = geometry(X, a, CUBIC.table(THETA @ X.T, VALUES))
    net = mf.TwoLayerNetwork(CUBIC.formula(VALUES), width=3, output_weights=a)
    return found, mf.ZeroLossManifold(net, X, found.y)


@pytest.mark.parametrize("a", [[1.0, 1.0, 1.0], [1.0, -2.0, 0.5]])
def test_geometry_is_that_of_the_kernels(a: list[float]) -> None:
    found, man = point(np.array(a))
    assert pytest.approx(man.sharpness(THETA), rel=1e-13) == found.F
    np.testing.assert_allclose(found.C @ X, man.gradient(THETA), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(spectrum(found, (1, 1, 1))[0], man.hessian_spectrum(THETA), rtol=1e-10, atol=1e-11)
    g = man.gradient(THETA)
    curvature = float(np.vdot(man.hessian_vector_product(THETA, g), g) / np.vdot(g, g))
    assert found.gradient_curvature == pytest.approx(curvature, rel=1e-10)


def test_units_of_a_group_have_the_spectrum_of_all() -> None:
    theta = np.repeat(RNG.normal(size=(2, 2)), (2, 3), axis=0)
    found = geometry(X, np.ones(5), CUBIC.table(theta @ X.T, VALUES))
    grouped, whole = spectrum(found, (2, 3))[0], spectrum(found, (1,) * 5)[0]
    np.testing.assert_allclose(grouped[[0, -1]], whole[[0, -1]], rtol=1e-11)
    assert all(np.abs(whole - value).min() < 1e-9 for value in grouped)


def test_fifty_digits_refine_the_floats() -> None:
    found, _ = point(np.ones(3))
    exact = np.vectorize(mpmath.mpf, otypes=[object])
    with mpmath.workdps(50):
        Z = exact(THETA) @ exact(X).T
        fine = geometry(exact(X), exact(np.ones(3)), CUBIC.digits(Z, VALUES))
        vector = spectrum(found, (1, 1, 1))[1][0]
        value, residual = refined_eigenvalue(fine, vector)
        # One step divides the error of the float's vector, 1e-15, by that of the shift, 1e-20, and the quotient's is
        # the square of that; a second step leaves the rounding of 50 digits.
        assert float(residual) < 1e-32
        again, rest = refined_eigenvalue(fine, vector, steps=2)
        assert float(rest) < 1e-42
        assert abs(again - value) < mpmath.mpf(10) ** -42 * abs(value)
        assert float(value) == pytest.approx(spectrum(found, (1, 1, 1))[0][0], rel=1e-12)
        assert float(fine.F) == pytest.approx(found.F, rel=1e-14)
        assert float(Data.of(fine.G).nu) == pytest.approx(Data.of(found.G).nu, rel=1e-12)


def test_constants_are_those_of_the_toolkit() -> None:
    found, man = point(np.ones(3))
    known = constants(man, THETA)
    bound = interval(CUBIC, VALUES, found.X @ THETA.T, stated_slope(found))
    assert bound == pytest.approx(known.interval, abs=1e-9)
    fast = extrema(CUBIC, VALUES, *known.interval)
    for name in ("rho1", "rho2", "beta", "ratio"):
        assert getattr(fast, name) == pytest.approx(getattr(known, name), rel=1e-8)
    assert fast.product == pytest.approx(known.rho1 * known.rho2, rel=1e-9)  # phi''' is constant


@pytest.mark.parametrize("n", [1, 2, 3])
def test_sharper_constants_are_not_worse(n: int) -> None:
    G = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0] * np.linspace(0.5, 2.0, n)
    data = Data.of(G @ G.T + 0.1)
    assert data.nu >= data.mu * data.s_min * (1.0 - 1e-12)
    assert data.t >= np.sqrt(data.mu) * data.s_min * (1.0 - 1e-12)


def test_every_inequality_holds_at_random_points() -> None:
    rng, seen = np.random.default_rng(1), set()
    for layout in (Layout(CUBIC, (1, 1, 1), 2), Layout(CUBIC, (1, 1), 1, signed=True)):
        for x in [layout.random(rng) for _ in range(150)] + layout.near_critical(rng):
            found = at(layout, x)
            if found is None:
                continue
            for item in INEQUALITIES:
                ratio = float(item.ratio(found)) if item.signed == layout.signed else np.nan
                assert not ratio < 1.0 - 1e-6, (item.name, ratio)
                seen |= {item.name} if np.isfinite(ratio) else set()
    assert seen == {item.name for item in INEQUALITIES}


def test_sharper_forms_imply_the_stated_ones() -> None:
    rng = np.random.default_rng(2)
    layout = Layout(CUBIC, (1, 1, 1), 2)
    checked = 0
    for found in filter(None, (at(layout, layout.random(rng)) for _ in range(40))):
        stated, sharp = Region.stated(found), Region.sharp(found)
        assert sharp.r1 >= stated.r1 * (1 - 1e-9)
        assert sharp.c1 >= stated.c1 * (1 - 1e-9)
        checked += 1
    assert checked > 20


def at(layout: Layout, x: np.ndarray):  # type: ignore[no-untyped-def]
    place = layout.point(x)
    if place is None:
        return None
    return measured(layout.family, place.values, place.X, place.Z, place.a, place.flattest, layout.groups)


@pytest.mark.parametrize(
    "make", [lambda: Family.of("z**3 + nu*z", {}), lambda: Family.of("nu + 1", {"nu": (0.0, 1.0)}),
             lambda: Family.of("z", {"z": (0.0, 1.0)}), lambda: Family.of("k*z", {"k": (2.0, 1.0)}),
             lambda: Family.of("__import__('os')", {})],
)  # fmt: skip
def test_bad_families_are_refused(make: Callable[[], Family]) -> None:
    with pytest.raises(mf.errors.ManifoldflowError):
        make()


@pytest.mark.parametrize("m", [2, 5])
def test_the_four_of_the_sharper_distance_is_attained_near_rank_one(m: int) -> None:
    """docs/counterexamples.md: sqrt(m / (m - 1)) near the point where phi'' = 0."""
    Z = np.array([[1e-3], *[[-1e-3 / (m - 1)]] * (m - 1)])
    assert sharp_distance_ratio(Z, 1.0) == pytest.approx(np.sqrt(m / (m - 1)), rel=1e-4)


def test_the_sharper_distance_cannot_have_the_factor_of_rank_one_everywhere() -> None:
    """docs/counterexamples.md: z = (0, -L) and nu -> 0 have the ratio 2^(1/3), below sqrt(2)."""
    assert sharp_distance_ratio(np.array([[0.0], [-1.0]]), 1e-4) == pytest.approx(2.0 ** (1 / 3), rel=1e-3)


def sharp_distance_ratio(Z: np.ndarray, nu: float) -> float:
    [item] = [item for item in INEQUALITIES if item.name == "S6*"]
    family = Family.of("z**3 + nu*z", {"nu": (nu, nu)})
    y = family.table(Z, (nu,))[0].mean()
    root = brentq(lambda z: z**3 + nu * z - y, -2.0, 2.0, xtol=1e-15)
    found = measured(family, (nu,), np.eye(1), Z, np.ones(len(Z)), np.full_like(Z, root))
    assert found is not None
    return float(item.ratio(found))
