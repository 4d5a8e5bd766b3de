"""The flattest point enclosed: closed forms, signed weights against 50 digits, and claims that must not be made."""

import mpmath
import numpy as np
import pytest

import manifoldflow as mf
from derivations import UnitFunction
from manifoldflow.certificates import enclose_flattest_point
from manifoldflow.certificates.arithmetic import Float64Intervals
from manifoldflow.certificates.barriers import grows_for_ever, stays_beyond
from manifoldflow.errors import InputError
from tests.manifoldflow.conftest import problem


def manifold(formula, labels, width, weights=None):
    network = mf.TwoLayerNetwork(formula, width=width, output_weights=weights)
    return mf.ZeroLossManifold(network, np.eye(len(labels)), labels)


def test_a_known_point():
    # phi(1) = 2, phi(2) = 10, phi(-1) = -2: F* = 2 * 4 * (16 + 169 + 16).
    man = manifold("z**3 + z", [8.0, 40.0, -8.0], width=4)
    found = enclose_flattest_point(man, mf.flattest_point(man).x)
    assert found.certificate.proved
    for i, z in enumerate((1.0, 2.0, -1.0)):
        assert (found.low[:, i] <= z).all()
        assert (z <= found.high[:, i]).all()
    assert (found.high - found.low).max() < 2e-15
    assert found.sharpness.contains(1608.0)
    assert found.sharpness.width < 1e-11
    assert found.distance < 1e-14


def test_the_distance_of_another_point_is_not_understated():
    man = manifold("z**3 + z", [8.0, 40.0], width=4)
    exact = np.tile([1.0, 2.0], (4, 1))
    for gap in (0.0, 1e-9, 0.5):
        theta = exact.copy()
        theta[0, 0] += gap
        found = enclose_flattest_point(man, theta)
        assert abs(theta[0, 0] - 1.0) <= found.distance <= abs(theta[0, 0] - 1.0) * (1 + 1e-12) + 1e-14


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)"])
def test_signed_weights_at_50_digits(formula):
    weights = np.array([1.0, -2.0, 0.5, 1.5])
    man = manifold(formula, [0.7, -1.9], 4, weights)
    found = enclose_flattest_point(man)
    assert found.certificate.proved
    with mpmath.workdps(50):
        phi, bend = (lambda z: z**3 + z, lambda z: 6 * z) if formula.startswith("z") else (mpmath.sinh, mpmath.sinh)
        inverse = (lambda k: k / 6) if formula.startswith("z") else mpmath.asinh
        for i, y in enumerate((mpmath.mpf(0.7), mpmath.mpf(-1.9))):
            k = mpmath.findroot(lambda k, y=y: sum(a * phi(inverse(k / a)) for a in map(mpmath.mpf, weights)) - y, 0.3)
            for j, a in enumerate(map(mpmath.mpf, weights)):
                z = inverse(k / a)
                assert mpmath.mpf(found.low[j, i]) <= z <= mpmath.mpf(found.high[j, i])
                assert abs(bend(z) * a - k) < 1e-40
    assert (found.high - found.low).max() < 1e-14


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "ill"])
def test_the_solver_is_right(name):
    case = problem(name)
    x = mf.flattest_point(case.man)
    found = enclose_flattest_point(case.man, x.x)
    assert found.certificate.proved
    assert found.distance < 1e-9
    assert found.sharpness.low * (1 - 1e-9) <= x.fun <= found.sharpness.high * (1 + 1e-9)
    rng = np.random.default_rng(0)
    for _ in range(5):  # nothing on M is flatter
        assert case.man.sharpness(case.man.random_point(rng)) >= found.sharpness.low


@pytest.mark.parametrize(("formula", "part"), [
    ("(z - 0.1234567)**5/60 - 1e-13*z**3/6 + z", "phi''' <= -"),
    ("z**3 + z + 1e-9*erf(1e5*(z - 0.1234567))", "phi''' <= -2256"),
    ("z**3 + z - 1e-300*z**40", "for all z"),
])  # fmt: skip
def test_what_the_grid_takes_for_global_is_refused(formula, part):
    """A dip that the grid misses, a hair below nought, and a second flat place beyond the grid's end."""
    man = manifold(formula, [3.0, 1.0], width=2)
    assert mf.flattest_point(man).is_global
    found = enclose_flattest_point(man)
    assert found.certificate.verdict == "not proved"
    assert part in found.certificate.reason


def test_where_s13_does_not_apply():
    tanh = enclose_flattest_point(problem("tanh").man)
    assert not tanh.certificate.proved
    assert "S13 does not apply" in tanh.certificate.reason
    assert np.isnan(tanh.low).all()
    wide = enclose_flattest_point(problem("wide_data").man)
    assert "mu > 0 is not proved" in wide.certificate.reason
    with pytest.raises(InputError, match=r"units a\*phi\(z\)"):
        enclose_flattest_point(problem("trained").man)


@pytest.mark.parametrize(("formula", "sign", "grows"), [
    ("z**3 + z", 1.0, True), ("z**3 + z", -1.0, True), ("sinh(z)", -1.0, True), ("z**7 - z**6 + z", 1.0, True),
    ("z**4", 1.0, True), ("z**4", -1.0, False), ("exp(z)", 1.0, True), ("exp(z)", -1.0, False), ("tanh(z)", 1.0, False),
    ("z**3 - z**5", 1.0, False), ("z**3 + 4*sin(z)", 1.0, True), ("z**3 + 7*sin(z)", 1.0, True),
])  # fmt: skip
def test_tails(formula, sign, grows):
    assert grows_for_ever(UnitFunction(formula), 5.0 * sign, sign, Float64Intervals()) == grows


def test_a_slope_that_falls_back_is_not_beyond():
    # phi' = 1 + 3 z^2 (1 - bump at 30): beyond 10 it is above 100 but near 30.
    unit = UnitFunction("z**3 + z - 2700*erf(30*(z - 30))/30")
    assert not stays_beyond(unit, 10.0, 1.0, 100.0, Float64Intervals())
    assert stays_beyond(UnitFunction("z**3 + z"), 10.0, 1.0, 100.0, Float64Intervals())
