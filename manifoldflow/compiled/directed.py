"""Sums and products of interval ends rounded outward, a number at a time: Horner's scheme in one loop.

The same bits as the operators of `certificates.interval`, which say why the rounding is right: a series is twenty of
them, each a dozen passes over arrays that are mostly short. Nothing may be fused or reordered here.
"""

from __future__ import annotations

import numpy as np

from .options import jit_exact

_SAFE = 1e300  # as in `certificates.interval`


@jit_exact
def horner(coefficients_lo, coefficients_hi, lo, hi):
    """The polynomial at the intervals [lo, hi], which its values replace; the last coefficient is the highest."""
    last = coefficients_lo.size - 1
    for i in range(lo.size):
        low, high = coefficients_lo[last], coefficients_hi[last]
        for k in range(last - 1, -1, -1):
            low, high = product(lo[i], hi[i], low, high)
            low, high = sum_down(coefficients_lo[k], low), sum_up(coefficients_hi[k], high)
        lo[i], hi[i] = low, high


@jit_exact
def sum_down(x, y):
    """x + y rounded down."""
    total = x + y
    return total if abs(total) < _SAFE and _error(x, y, total) >= 0.0 else np.nextafter(total, -np.inf)


@jit_exact
def sum_up(x, y):
    """x + y rounded up."""
    total = x + y
    return total if abs(total) < _SAFE and _error(x, y, total) <= 0.0 else np.nextafter(total, np.inf)


@jit_exact
def _error(x, y, total):
    """What a rounded sum is less than the exact one (Knuth)."""
    part = total - x
    return (x - (total - part)) + (y - part)


@jit_exact
def product(a, b, c, d):
    """[a, b] times [c, d], rounded outward."""
    first, second = corner(a, c), corner(a, d)
    third, fourth = corner(b, c), corner(b, d)
    return min(first[0], second[0], third[0], fourth[0]), max(first[1], second[1], third[1], fourth[1])


@jit_exact
def corner(x, y):
    """x y between its neighbours; 0 where a factor is 0, of infinity too."""
    if x == 0.0 or y == 0.0:
        return 0.0, 0.0
    value = x * y
    return np.nextafter(value, -np.inf), np.nextafter(value, np.inf)
