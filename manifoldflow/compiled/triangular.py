"""Cholesky factors of matrices of moderate size, upper and row-major: A = U^T U, rows of U contiguous.

Four rows at a time, so that what waits for a square root, or for a number just stored, is a fourth of it. Matrices are
given by where they begin, the distance `s` of their rows, and their order n.
"""

from __future__ import annotations

import numpy as np

from .lines import LANES, load_first, multiply_add, spread, store_first, total
from .options import jit


def factor(A, s, n):
    """U in place of the upper half of A; 0, or the order of the first minor that is not positive definite."""
    first = 0
    while first + 4 <= n:
        for j in range(first, n, LANES):
            _subtract_rows_above(A, s, first, j, n - j)
        info = _factor_four(A, s, first)
        if info != 0:
            return info
        for j in range(first + 4, n, LANES):
            _solve_tile(A, s, first, j, n - j)
        first += 4
    for i in range(first, n):
        for j in range(i, n):
            above = 0.0
            for k in range(first):
                above += A[k * s + i] * A[k * s + j]
            A[i * s + j] -= above
    return _factor_rest(A, s, first, n)


@jit
def _subtract_rows_above(A, s, first, j, count):
    """A[first : first + 4, j : j + 8] -= U[:first, first : first + 4]^T U[:first, j : j + 8]."""
    a, u = first, j
    even0 = even1 = even2 = even3 = odd0 = odd1 = odd2 = odd3 = spread(0.0)
    for _ in range(first // 2):
        row = load_first(A, u, count)
        even0, even1 = multiply_add(spread(A[a]), row, even0), multiply_add(spread(A[a + 1]), row, even1)
        even2, even3 = multiply_add(spread(A[a + 2]), row, even2), multiply_add(spread(A[a + 3]), row, even3)
        a, u = a + s, u + s
        row = load_first(A, u, count)
        odd0, odd1 = multiply_add(spread(A[a]), row, odd0), multiply_add(spread(A[a + 1]), row, odd1)
        odd2, odd3 = multiply_add(spread(A[a + 2]), row, odd2), multiply_add(spread(A[a + 3]), row, odd3)
        a, u = a + s, u + s
    store_first(A, u, load_first(A, u, count) - (even0 + odd0), count)
    store_first(A, u + s, load_first(A, u + s, count) - (even1 + odd1), count)
    store_first(A, u + 2 * s, load_first(A, u + 2 * s, count) - (even2 + odd2), count)
    store_first(A, u + 3 * s, load_first(A, u + 3 * s, count) - (even3 + odd3), count)


@jit
def _factor_four(A, s, i):
    """The diagonal block of rows i to i + 4, from which the rows above are taken out already.

    Rows are divided by roots of pivots at the end: a root takes as long as the rest of a pivot's work, and no pivot
    waits for it.
    """
    a, b, c, d = i * s + i, i * s + s + i + 1, i * s + 2 * s + i + 2, i * s + 3 * s + i + 3
    p0, a1, a2, a3 = A[a], A[a + 1], A[a + 2], A[a + 3]
    x1, x2, x3 = a1 / p0, a2 / p0, a3 / p0
    p1, b2, b3 = A[b] - x1 * a1, A[b + 1] - x1 * a2, A[b + 2] - x1 * a3
    y2, y3 = b2 / p1, b3 / p1
    p2, c3 = A[c] - x2 * a2 - y2 * b2, A[c + 1] - x2 * a3 - y2 * b3
    p3 = A[d] - x3 * a3 - y3 * b3 - c3 * (c3 / p2)
    r0, r1, r2, r3 = 1.0 / np.sqrt(p0), 1.0 / np.sqrt(p1), 1.0 / np.sqrt(p2), 1.0 / np.sqrt(p3)
    A[a], A[a + 1], A[a + 2], A[a + 3] = p0 * r0, a1 * r0, a2 * r0, a3 * r0
    A[b], A[b + 1], A[b + 2], A[c], A[c + 1], A[d] = p1 * r1, b2 * r1, b3 * r1, p2 * r2, c3 * r2, p3 * r3
    if p0 > 0.0 and p1 > 0.0 and p2 > 0.0 and p3 > 0.0:
        return 0
    return i + (1 if not p0 > 0.0 else 2 if not p1 > 0.0 else 3 if not p2 > 0.0 else 4)


@jit
def _factor_rest(A, s, first, n):
    """Rows first to n, at most three, from which the rows above are taken out already."""
    for i in range(first, n):
        pivot = A[i * s + i]
        if not pivot > 0.0:
            return i + 1
        scale = 1.0 / np.sqrt(pivot)
        for j in range(i, n):
            A[i * s + j] *= scale
        for k in range(i + 1, n):
            for j in range(k, n):
                A[k * s + j] -= A[i * s + k] * A[i * s + j]
    return 0


@jit
def _solve_tile(A, s, first, j, count):
    """Rows first to first + 4 of U in columns j to j + 8: U_d^T x = a with the factor U_d of their diagonal block."""
    d, u = first * s + first, first * s + j
    x0 = load_first(A, u, count) * spread(1.0 / A[d])
    x1 = load_first(A, u + s, count) - spread(A[d + 1]) * x0
    x1 = x1 * spread(1.0 / A[d + s + 1])
    x2 = load_first(A, u + 2 * s, count) - spread(A[d + 2]) * x0 - spread(A[d + s + 2]) * x1
    x2 = x2 * spread(1.0 / A[d + 2 * s + 2])
    x3 = load_first(A, u + 3 * s, count) - spread(A[d + 3]) * x0 - spread(A[d + s + 3]) * x1
    x3 = (x3 - spread(A[d + 2 * s + 3]) * x2) * spread(1.0 / A[d + 3 * s + 3])
    store_first(A, u, x0, count)
    store_first(A, u + s, x1, count)
    store_first(A, u + 2 * s, x2, count)
    store_first(A, u + 3 * s, x3, count)


def solve(U, s, n, B, b_stride, rows):
    """Each row b of B becomes (U^T U)^{-1} b."""
    for row in range(rows):
        _solve_transposed(U, s, n, B, row * b_stride)
        _solve_upper(U, s, n, B, row * b_stride)


@jit
def _solve_transposed(U, s, n, B, b):
    """U^T x = b."""
    i = 0
    while i + 4 <= n:
        d = i * s + i
        r0, r1, r2, r3 = 1.0 / U[d], 1.0 / U[d + s + 1], 1.0 / U[d + 2 * s + 2], 1.0 / U[d + 3 * s + 3]
        x0 = B[b + i] * r0
        x1 = (B[b + i + 1] - U[d + 1] * x0) * r1
        x2 = (B[b + i + 2] - U[d + 2] * x0 - U[d + s + 2] * x1) * r2
        x3 = (B[b + i + 3] - U[d + 3] * x0 - U[d + s + 3] * x1 - U[d + 2 * s + 3] * x2) * r3
        B[b + i], B[b + i + 1], B[b + i + 2], B[b + i + 3] = x0, x1, x2, x3
        _subtract_four(U, i * s, s, i + 4, n, spread(x0), spread(x1), spread(x2), spread(x3), B, b)
        i += 4
    while i < n:
        value = B[b + i] / U[i * s + i]
        B[b + i] = value
        for k in range(i + 1, n):
            B[b + k] -= value * U[i * s + k]
        i += 1


@jit
def _subtract_four(U, u, s, first, n, x0, x1, x2, x3, B, b):
    """b[first:] -= x^T U[i : i + 4, first:]."""
    for k in range(first, n, LANES):
        count = n - k
        left = multiply_add(x0, load_first(U, u + k, count), x1 * load_first(U, u + s + k, count))
        right = multiply_add(x2, load_first(U, u + 2 * s + k, count), x3 * load_first(U, u + 3 * s + k, count))
        store_first(B, b + k, load_first(B, b + k, count) - (left + right), count)


@jit
def _solve_upper(U, s, n, B, b):
    """U x = b."""
    i = n - n % 4
    for k in range(n - 1, i - 1, -1):
        for j in range(k + 1, n):
            B[b + k] -= U[k * s + j] * B[b + j]
        B[b + k] /= U[k * s + k]
    while i > 0:
        i -= 4
        d = i * s + i
        r0, r1, r2, r3 = 1.0 / U[d], 1.0 / U[d + s + 1], 1.0 / U[d + 2 * s + 2], 1.0 / U[d + 3 * s + 3]
        s0, s1, s2, s3 = _four_products(U, i * s, s, i + 4, n, B, b)
        x3 = (B[b + i + 3] - s3) * r3
        x2 = (B[b + i + 2] - s2 - U[d + 2 * s + 3] * x3) * r2
        x1 = (B[b + i + 1] - s1 - U[d + s + 3] * x3 - U[d + s + 2] * x2) * r1
        x0 = (B[b + i] - s0 - U[d + 3] * x3 - U[d + 2] * x2 - U[d + 1] * x1) * r0
        B[b + i], B[b + i + 1], B[b + i + 2], B[b + i + 3] = x0, x1, x2, x3


@jit
def _four_products(U, u, s, first, n, B, b):
    """U[i : i + 4, first:] b[first:]."""
    s0 = s1 = s2 = s3 = spread(0.0)
    for k in range(first, n, LANES):
        count = n - k
        x = load_first(B, b + k, count)
        s0 = multiply_add(load_first(U, u + k, count), x, s0)
        s1 = multiply_add(load_first(U, u + s + k, count), x, s1)
        s2 = multiply_add(load_first(U, u + 2 * s + k, count), x, s2)
        s3 = multiply_add(load_first(U, u + 3 * s + k, count), x, s3)
    return total(s0), total(s1), total(s2), total(s3)
