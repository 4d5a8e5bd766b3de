"""Every elementary function against mpmath: an enclosure contains the value, is a few ulps wide, covers intervals."""

import mpmath
import numpy as np
import pytest

from manifoldflow.certificates import elementary
from manifoldflow.certificates.elementary import CONSTANTS, FUNCTIONS, LN2, power
from manifoldflow.certificates.interval import INF, LARGEST, Interval
from manifoldflow.codegen.program import OPERATIONS
from tests.manifoldflow.certificates.conftest import encloses, random_intervals

EDGES = [0.0, 1.0, -1.0, 0.5, 1.0 + 2.0**-52, 1.0 - 2.0**-53, 0.36, 5e-324, -5e-324, 2.0**-1022, 1e-300, 3.0, 6.0, -6.0]
EDGES += [np.pi / 2, np.pi, -np.pi, 2 * np.pi, 100.5, 1e5, 709.7, 710.5, -708.5, -745.0, -747.0, 0.7071067811865476]
# Widths in units of the last place where the value is a normal number: what the series are good for.
ULPS = {"erf": 200.0, "atan": 16.0, "tan": 16.0}
POSITIVE = ("sqrt", "log")


def points(name):
    rng = np.random.default_rng(7)
    parts = [rng.normal(size=60), 10 * rng.normal(size=60), rng.uniform(-750, 750, 40)]
    parts += [np.exp(rng.uniform(-700, 6, 60)) * rng.choice([-1, 1], 60), np.array(EDGES)]
    found = np.concatenate(parts)
    return np.unique(np.abs(found[found != 0.0])) if name in POSITIVE else found


def exact(name, x):
    # Digits enough for 1 - tanh(350) and sinh(1e-300).
    with mpmath.workdps(400 if name in ("tanh", "sigmoid", "erf", "softplus") and abs(x) > 15 else 60):
        return OPERATIONS[name][1](mpmath.mpf(float(x)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_enclosed_and_tight(name):
    x = points(name)
    with np.errstate(all="ignore"):
        found = FUNCTIONS[name](Interval(x))
    assert not np.isnan(found.lo).any()
    assert not np.isnan(found.hi).any()
    for k, value in enumerate(x):
        wanted = exact(name, value)
        assert encloses(found.lo[k], found.hi[k], wanted), (name, value)
        size = abs(float(wanted))
        if 1e-290 < size < (1e12 if name == "tan" else 1e300):  # an ulp from a pole, tan is anything
            assert found.hi[k] - found.lo[k] <= ULPS.get(name, 12.0) * 2.0**-52 * size, (name, value)


SERIES = {
    "exp": elementary._exp_series(),
    "sinh": elementary._sinh_series(),
    "sine": elementary._sine_series(),
    "wide": Interval(np.array([-INF, -1.0, 5e-324]), np.array([INF, 2.0, 5e-324])),
    "huge": Interval(np.array([1e300, -1e308, 0.0]), np.array([1e301, 0.0, 0.0])),
}


def by_the_operators(coefficients, t):
    total = coefficients[-1]
    for k in range(len(coefficients.lo) - 2, -1, -1):
        total = coefficients[k] + t * total
    return total


def arguments_of_series():
    ends = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-310, 2.0**-1022, 0.3, 1.0, -1.0, 1e300, -1e300, LARGEST, INF, -INF])
    low, high = np.meshgrid(ends, ends)
    shared = np.random.default_rng(5).normal(size=(2, 40, 50)) ** 3
    return [Interval(np.minimum(low, high), np.maximum(low, high)), Interval(*np.sort(shared, axis=0)), Interval(0.25)]


@pytest.mark.parametrize("name", SERIES)
def test_compiled_series_have_the_bits_of_the_operators(name):
    for t in arguments_of_series():
        found, wanted = elementary._series(SERIES[name], t), by_the_operators(SERIES[name], t)
        np.testing.assert_array_equal(found.lo, wanted.lo)
        np.testing.assert_array_equal(found.hi, wanted.hi)
        assert found.lo.shape == t.lo.shape


def test_a_series_of_nothing_known_is_nothing_known():
    found = elementary._series(SERIES["exp"], Interval(np.nan))
    assert np.isnan(found.lo)
    assert np.isnan(found.hi)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_intervals_contain_the_values_inside(name):
    rng = np.random.default_rng(11)
    low, high = (1e-3, 8.0) if name in POSITIVE else (-8.0, 8.0)
    lo, hi = random_intervals(rng, 300, low, high)
    found = FUNCTIONS[name](Interval(lo, hi))
    for share in (0.0, 1.0, 0.5, rng.random(300)):
        inner = np.clip(lo + share * (hi - lo), lo, hi)
        for k in range(0, 300, 3):
            assert encloses(found.lo[k], found.hi[k], exact(name, inner[k])), (name, lo[k], hi[k], inner[k])


def test_the_enclosures_are_needed():
    """Negative control of the tests above: the middles alone, or one ulp, are not the values."""
    x = np.random.default_rng(3).normal(size=200)
    found = FUNCTIONS["sinh"](Interval(x))
    wanted = [exact("sinh", value) for value in x]
    assert sum(encloses(middle, middle, value) for middle, value in zip(found.mid, wanted, strict=True)) < 10
    shifted = [encloses(np.nextafter(hi, INF), INF, v) for hi, v in zip(found.hi, wanted, strict=True)]
    assert not any(shifted)


def test_constants():
    with mpmath.workdps(60):
        for found, value in ((CONSTANTS["pi"], mpmath.pi), (CONSTANTS["e"], mpmath.e), (LN2, mpmath.log(2))):
            assert encloses(found.lo, found.hi, +value)
            assert found.hi == np.nextafter(found.lo, INF)
        for text, value in ((elementary._PI, mpmath.pi), (elementary._LN2, mpmath.log(2)), (elementary._E, mpmath.e)):
            assert abs(mpmath.mpf(text.numerator) / text.denominator - value) < mpmath.mpf(10) ** -58


def test_crests_troughs_and_poles():
    wave = FUNCTIONS["sin"](Interval(np.array([1.5, 4.7, -10.0, 0.1, -1e9]), np.array([1.6, 4.72, 10.0, 0.2, 1e9])))
    assert wave.hi[0] == 1.0
    assert wave.lo[1] == -1.0
    assert (wave.lo[2], wave.hi[2]) == (-1.0, 1.0)
    assert wave.hi[3] < 0.2
    assert (wave.lo[4], wave.hi[4]) == (-1.0, 1.0)
    assert FUNCTIONS["cos"](Interval(-0.1, 0.1)).hi == 1.0
    slope = FUNCTIONS["tan"](Interval(np.array([1.5, -1.5, 0.0]), np.array([1.6, 1.5, 4.0])))
    assert slope.lo[0] == -INF
    assert np.isfinite(slope.hi[1])
    assert slope.hi[2] == INF


def test_infinite_ends():
    with np.errstate(all="ignore"):
        found = {name: FUNCTIONS[name](Interval(-INF, INF)) for name in FUNCTIONS}
    assert (found["exp"].lo, found["exp"].hi) == (0.0, INF)
    assert (found["tanh"].lo, found["tanh"].hi) == (-1.0, 1.0)
    assert found["cosh"].lo == 1.0
    assert found["log"].lo == -INF
    assert FUNCTIONS["exp"](Interval(1000.0)).lo == LARGEST


def test_general_powers():
    x, y = np.array([0.5, 2.0, 3.0, 0.0, 1e-5]), np.array([1.5, 0.3, -2.2, 0.5, 7.1])
    found = power(Interval(x), Interval(y))
    for k in range(5):
        assert encloses(found.lo[k], found.hi[k], mpmath.mpf(x[k]) ** mpmath.mpf(y[k]))
    whole = power(Interval(np.array([-1.0, 0.0])), Interval(np.array([0.5, -1.0])))
    assert (whole.lo == -INF).all()
    root = power(Interval(0.0, 4.0), Interval(1.5))
    assert root.lo == 0.0
    assert 8.0 <= root.hi < 8.0 + 1e-13
