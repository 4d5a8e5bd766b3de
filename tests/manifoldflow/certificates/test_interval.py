"""Interval arithmetic against exact rational arithmetic, at the ends of float64's range too."""

import ctypes
import ctypes.util
import platform
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifoldflow.certificates.interval import (
    INF,
    LARGEST,
    SMALLEST,
    Interval,
    check_machine,
    down,
    exactly,
    stack,
    up,
    where,
)
from manifoldflow.errors import CertificateError

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, SMALLEST, -SMALLEST, 2.0**-1022, LARGEST, -LARGEST, 1e-200, 1e200, 0.1, -3.0])
OPERATIONS = {
    "add": (lambda x, y: x + y),
    "sub": (lambda x, y: x - y),
    "mul": (lambda x, y: x * y),
    "div": (lambda x, y: x / y),
}


def contains(found, exact):
    lo, hi = float(found.lo), float(found.hi)
    return (lo == -INF or Fraction(lo) <= exact) and (hi == INF or exact <= Fraction(hi))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("x", SPECIAL)
def test_special_numbers(name, x):
    for y in SPECIAL:
        with np.errstate(all="ignore"):
            found = OPERATIONS[name](Interval(x), Interval(y))
        if name == "div" and y == 0.0:
            assert (found.lo, found.hi) == (-INF, INF)
        else:
            assert contains(found, OPERATIONS[name](Fraction(x), Fraction(y)))


@pytest.mark.parametrize("name", OPERATIONS)
@given(ends=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), share=st.tuples(st.fractions(0, 1), st.fractions(0, 1)))
@settings(max_examples=150, deadline=None)
def test_results_contain_the_exact_ones(name, ends, share):
    a, b, c, d = ends
    X, Y = (Interval(min(p, q), max(p, q)) for p, q in ((a, b), (c, d)))
    x, y = (between(P, part) for P, part in zip((X, Y), share, strict=True))
    with np.errstate(all="ignore"):
        found = OPERATIONS[name](X, Y)
    if name == "div" and Y.lo <= 0.0 <= Y.hi:
        assert (found.lo, found.hi) == (-INF, INF)
    else:
        assert contains(found, OPERATIONS[name](x, y))


def between(X, share):
    low, high = Fraction(float(X.lo)), Fraction(float(X.hi))
    return low + share * (high - low)


@given(a=NUMBERS, b=NUMBERS)
@settings(max_examples=150, deadline=None)
def test_sums_are_tight(a, b):
    # No further from the exact sum than its neighbours, and exact where the sum is.
    with np.errstate(all="ignore"):
        found, total = Interval(a) + Interval(b), a + b
    if abs(total) < 1e300:
        assert found.lo >= np.nextafter(total, -INF)
        assert found.hi <= np.nextafter(total, INF)
        if Fraction(a) + Fraction(b) == Fraction(total):
            assert found.lo == found.hi == total


@given(a=st.floats(-1e6, 1e6), b=st.floats(-1e6, 1e6), k=st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_powers(a, b, k):
    X = Interval(min(a, b), max(a, b))
    found = X.power(k)
    for x in (a, b, 0.5 * a + 0.5 * b):
        assert contains(found, Fraction(x) ** k)
    if k % 2 == 0:
        assert found.lo >= 0.0
        if a * b <= 0.0:
            assert found.lo == 0.0


@given(a=st.floats(0.0, 1e300), b=st.floats(0.0, 1e300))
@settings(max_examples=150, deadline=None)
def test_square_roots(a, b):
    found = Interval(min(a, b), max(a, b)).sqrt()
    for x in (a, b):
        assert Fraction(float(found.lo)) ** 2 <= Fraction(x) <= Fraction(float(found.hi)) ** 2
    assert Interval(-1.0, a).sqrt().lo == -INF


def test_infinite_ends_are_only_bounds():
    half_line = Interval(1.0, INF)
    assert (half_line * Interval(0.0, 1.0)).lo == 0.0
    assert (half_line - half_line).lo == -INF
    assert (half_line / half_line).lo == 0.0
    assert (Interval(0.0) * Interval(-INF, INF)).lo == 0.0
    assert not np.isnan((Interval(-INF, INF) * Interval(-INF, INF)).lo)
    assert (Interval(LARGEST) + Interval(LARGEST)).lo == LARGEST


def test_sums_along_axes_and_choices():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(7, 5)) * 10.0 ** rng.integers(-9, 9, (7, 5))
    for axis in (0, 1):
        found = Interval(X).sum(axis=axis)
        exact = [sum(map(Fraction, row.tolist())) for row in (X.T if axis == 0 else X)]
        assert all(contains(found[k], value) for k, value in enumerate(exact))
    assert contains(Interval(X).sum(), sum(map(Fraction, X.ravel().tolist())))
    nothing = Interval(X[:, :0]).sum(axis=1)
    assert nothing.lo.tolist() == nothing.hi.tolist() == [0.0] * len(X)
    both = where(np.array([True, False]), Interval(np.zeros(2)), Interval(np.ones(2)))
    assert stack([both, both]).lo.tolist() == [[0.0, 1.0], [0.0, 1.0]]


@given(value=st.fractions())
@settings(max_examples=200, deadline=None)
def test_rationals_get_the_tightest_interval(value):
    found = exactly(value)
    assert contains(found, value)
    assert found.hi in (found.lo, np.nextafter(found.lo, INF))


def test_rationals_beyond_float64():
    for value in (Fraction(10) ** 400, -Fraction(10) ** 400, Fraction(1, 10**400)):
        assert contains(exactly(value), value)


def test_middle_and_radius():
    X = Interval(np.array([1.0, -INF, 3.0, -INF]), np.array([2.0, 5.0, INF, INF]))
    assert np.isfinite(X.mid).all()
    assert ((X.lo <= X.mid) & (X.mid <= X.hi)).all()
    assert X.radius[0] >= 0.5
    assert np.isinf(X.radius[1:]).all()


def test_another_rounding_mode_is_refused():
    """Negative control of the one assumption about the machine: the C library can switch the mode."""
    upward = {"x86_64": 0x800, "AMD64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}.get(platform.machine())
    name = ctypes.util.find_library("m")
    if upward is None or name is None:
        pytest.skip("the rounding mode of this machine cannot be switched from here")
    library = ctypes.CDLL(name)
    check_machine()
    library.fesetround(upward)
    try:
        with pytest.raises(CertificateError, match="rounding to nearest"):
            check_machine()
    finally:
        library.fesetround(0)
    check_machine()


def test_past_the_largest_number_comes_infinity_without_a_warning():
    largest = np.finfo(float).max
    assert up(largest) == np.inf
    assert down(-largest) == -np.inf
