"""Products of matrices of moderate size: tiles of four rows by two lines, with their sums in registers.

For sizes at which a BLAS spends much of its time around the product, and for those it treats as large, up to where it
has to copy its operands to keep them in the cache. Each number is a sum in the order of the inner index, in parts of
DEPTH, whatever tile it falls in. Matrices are given by where they begin and the distance of their rows.
"""

from __future__ import annotations

from .lines import LANES, LONG_REGISTERS, load, load_first, multiply_add, spread, store_first
from .options import jit

WIDTH = 2 * LANES if LONG_REGISTERS else LANES  # columns of a tile: with four rows, what fits into registers
DEPTH = 256  # of the inner index at a time: that many rows of a tile's columns fit into the first-level cache


@jit
def product(transposed, symmetric, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner):
    """C = alpha op(A) B + beta C, op(A) = A^T where `transposed`; C is not read where beta is 0.

    Where `symmetric` only tiles that reach the upper half of C are computed.
    """
    row, step = (1, a_stride) if transposed else (a_stride, 1)
    first = 0
    while first == 0 or first < inner:
        depth = min(DEPTH, inner - first)
        a, b = first * step, first * b_stride
        for j in range(0, columns, WIDTH):
            count = min(columns - j, WIDTH)
            last = min(rows, j + WIDTH) if symmetric else rows
            i = 0
            while i < last:
                if i + 4 <= last or (last >= 4 and beta == 0.0):
                    i = min(i, last - 4)  # the last tile computes some rows again, which costs less than single rows
                    x, c = a + i * row, i * c_stride + j
                    if WIDTH > LANES and count > LANES:
                        _tile(A, x, row, step, B, b + j, b_stride, depth, alpha, beta, C, c, c_stride, count)
                    else:
                        _narrow(A, x, row, step, B, b + j, b_stride, depth, alpha, beta, C, c, c_stride, count)
                    i += 4
                else:
                    _row(A, a + i * row, step, B, b + j, b_stride, depth, alpha, beta, C, i * c_stride + j, count)
                    i += 1
        first, beta = first + DEPTH, 1.0


@jit
def _tile(A, a, row, step, B, b, b_stride, depth, alpha, beta, C, c, c_stride, count):
    """Four rows by more than eight columns, at most sixteen."""
    c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = spread(0.0)
    right = count - LANES
    for _ in range(depth):
        b0, b1 = load(B, b), load_first(B, b + LANES, right)
        a0, a1 = spread(A[a]), spread(A[a + row])
        a2, a3 = spread(A[a + 2 * row]), spread(A[a + 3 * row])
        c00, c01 = multiply_add(a0, b0, c00), multiply_add(a0, b1, c01)
        c10, c11 = multiply_add(a1, b0, c10), multiply_add(a1, b1, c11)
        c20, c21 = multiply_add(a2, b0, c20), multiply_add(a2, b1, c21)
        c30, c31 = multiply_add(a3, b0, c30), multiply_add(a3, b1, c31)
        a += step
        b += b_stride
    _finish(C, c, LANES, alpha, c00, beta)
    _finish(C, c + LANES, right, alpha, c01, beta)
    c += c_stride
    _finish(C, c, LANES, alpha, c10, beta)
    _finish(C, c + LANES, right, alpha, c11, beta)
    c += c_stride
    _finish(C, c, LANES, alpha, c20, beta)
    _finish(C, c + LANES, right, alpha, c21, beta)
    c += c_stride
    _finish(C, c, LANES, alpha, c30, beta)
    _finish(C, c + LANES, right, alpha, c31, beta)


@jit
def _narrow(A, a, row, step, B, b, b_stride, depth, alpha, beta, C, c, c_stride, count):
    """Four rows by at most eight columns."""
    c0 = c1 = c2 = c3 = spread(0.0)
    for _ in range(depth):
        b0 = load_first(B, b, count)
        c0 = multiply_add(spread(A[a]), b0, c0)
        c1 = multiply_add(spread(A[a + row]), b0, c1)
        c2 = multiply_add(spread(A[a + 2 * row]), b0, c2)
        c3 = multiply_add(spread(A[a + 3 * row]), b0, c3)
        a += step
        b += b_stride
    _finish(C, c, count, alpha, c0, beta)
    _finish(C, c + c_stride, count, alpha, c1, beta)
    _finish(C, c + 2 * c_stride, count, alpha, c2, beta)
    _finish(C, c + 3 * c_stride, count, alpha, c3, beta)


@jit
def _row(A, a, step, B, b, b_stride, depth, alpha, beta, C, c, count):
    """One row by at most sixteen columns."""
    c0 = c1 = spread(0.0)
    for _ in range(depth):
        a0 = spread(A[a])
        c0 = multiply_add(a0, load_first(B, b, count), c0)
        c1 = multiply_add(a0, load_first(B, b + LANES, count - LANES), c1)
        a += step
        b += b_stride
    _finish(C, c, count, alpha, c0, beta)
    _finish(C, c + LANES, count - LANES, alpha, c1, beta)


@jit
def _finish(C, c, count, alpha, value, beta):
    value = spread(alpha) * value
    if beta != 0.0:
        value = multiply_add(spread(beta), load_first(C, c, count), value)
    store_first(C, c, value, count)
