"""Eight symmetric matrices at once, one in each lane: the blocks of eight units, inverted and applied side by side.

A batch of order n is an array (n, n, 8), n a multiple of 4: entry (i, k) of all eight matrices is one line of eight
numbers. The work is done in tiles of four by four entries, with their sums in registers; the small matrices need no
rearrangement, and no lane waits for another. Arrays are given by where they begin.
"""

from __future__ import annotations

from .lines import LANES, load, multiply_add, spread, square_root, store, total
from .options import jit, jit_inlined

TILE = 4


def padded(n):
    """The order of a batch that holds matrices of order n."""
    return -(-n // TILE) * TILE


def inverses(d, shifted, n, M, pivots, H):
    """H = d^{-1} (I - (I + d S d)^{-1}) d^{-1} for each lane's diagonal d (n, 8), with one matrix S (n, n) for all.

    Cholesky L L^T, then L^{-1} and L^{-T} L^{-1}, all in M but for the result. Returns 0 where a matrix is not
    positive definite to rounding.
    """
    for k in range(0, n, TILE):
        _factor_diagonal(d, shifted, n, M, k, pivots)
        for i in range(k + TILE, n, TILE):
            _factor_tile(d, shifted, n, M, i, k)
    for i in range(n * LANES):
        if not pivots[i] > 0.0:
            return 0
    for k in range(0, n, TILE):
        for i in range(k + TILE, n, TILE):
            _invert_tile(n, M, i, k)
    for i in range(0, n, TILE):
        for k in range(0, i + TILE, TILE):
            _finish_tile(d, n, M, i, k, H)
    return 1


@jit_inlined
def _at(n, i, k):
    return (i * n + k) * LANES


@jit_inlined
def _products(P, p, p_row, p_step, Q, q, q_row, q_step, depth):
    """Sums over the inner index of P's four rows times Q's four, sixteen lines."""
    z = spread(0.0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = z
    for _ in range(depth):
        p0, p1, p2, p3 = load(P, p), load(P, p + p_row), load(P, p + 2 * p_row), load(P, p + 3 * p_row)
        x = load(Q, q)
        s00, s10, s20, s30 = _add_column(p0, p1, p2, p3, x, s00, s10, s20, s30)
        x = load(Q, q + q_row)
        s01, s11, s21, s31 = _add_column(p0, p1, p2, p3, x, s01, s11, s21, s31)
        x = load(Q, q + 2 * q_row)
        s02, s12, s22, s32 = _add_column(p0, p1, p2, p3, x, s02, s12, s22, s32)
        x = load(Q, q + 3 * q_row)
        s03, s13, s23, s33 = _add_column(p0, p1, p2, p3, x, s03, s13, s23, s33)
        p += p_step
        q += q_step
    return (s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33)


@jit_inlined
def _add_column(p0, p1, p2, p3, x, s0, s1, s2, s3):
    return multiply_add(p0, x, s0), multiply_add(p1, x, s1), multiply_add(p2, x, s2), multiply_add(p3, x, s3)


@jit_inlined
def _entry(d, shifted, n, i, k):
    """Entry of d S d."""
    return load(d, i * LANES) * spread(shifted[i * n + k]) * load(d, k * LANES)


@jit_inlined
def _entries(d, shifted, n, i, k, s):
    """Row i of d S d from column k on, four entries, less the sums s."""
    return (
        _entry(d, shifted, n, i, k) - s[0], _entry(d, shifted, n, i, k + 1) - s[1],
        _entry(d, shifted, n, i, k + 2) - s[2], _entry(d, shifted, n, i, k + 3) - s[3],
    )  # fmt: skip


@jit
def _factor_diagonal(d, shifted, n, M, k, pivots):
    """The inverse of L's diagonal tile, where the rows above are known."""
    row = n * LANES
    a = _at(n, k, 0)
    s0, s1, s2, s3 = _products(M, a, row, LANES, M, a, row, LANES, k)
    r0, r1 = _entries(d, shifted, n, k, k, s0), _entries(d, shifted, n, k + 1, k, s1)
    r2, r3 = _entries(d, shifted, n, k + 2, k, s2), _entries(d, shifted, n, k + 3, k, s3)
    one, zero = spread(1.0), spread(0.0)
    p0 = one + r0[0]
    i0 = one / square_root(p0)
    l10, l20, l30 = r1[0] * i0, r2[0] * i0, r3[0] * i0
    p1 = one + r1[1] - l10 * l10
    i1 = one / square_root(p1)
    l21, l31 = (r2[1] - l20 * l10) * i1, (r3[1] - l30 * l10) * i1
    p2 = one + r2[2] - l20 * l20 - l21 * l21
    i2 = one / square_root(p2)
    l32 = (r3[2] - l30 * l20 - l31 * l21) * i2
    p3 = one + r3[3] - l30 * l30 - l31 * l31 - l32 * l32
    i3 = one / square_root(p3)
    _store_row(pivots, k * LANES, p0, p1, p2, p3)
    a = _at(n, k, k)
    _store_row(M, a, i0, zero, zero, zero)
    m10 = zero - l10 * i0 * i1
    _store_row(M, a + row, m10, i1, zero, zero)
    m20, m21 = zero - (l20 * i0 + l21 * m10) * i2, zero - l21 * i1 * i2
    _store_row(M, a + 2 * row, m20, m21, i2, zero)
    m30 = zero - (l30 * i0 + l31 * m10 + l32 * m20) * i3
    m31 = zero - (l31 * i1 + l32 * m21) * i3
    _store_row(M, a + 3 * row, m30, m31, zero - l32 * i2 * i3, i3)


@jit_inlined
def _store_row(M, a, x0, x1, x2, x3):
    store(M, a, x0)
    store(M, a + LANES, x1)
    store(M, a + 2 * LANES, x2)
    store(M, a + 3 * LANES, x3)


@jit
def _factor_tile(d, shifted, n, M, i, k):
    """A tile of L below the diagonal."""
    row = n * LANES
    a, b = _at(n, i, 0), _at(n, k, 0)
    s0, s1, s2, s3 = _products(M, a, row, LANES, M, b, row, LANES, k)
    a, b = _at(n, i, k), _at(n, k, k)
    _store_times_transpose(M, a, _entries(d, shifted, n, i, k, s0), b, row)
    _store_times_transpose(M, a + row, _entries(d, shifted, n, i + 1, k, s1), b, row)
    _store_times_transpose(M, a + 2 * row, _entries(d, shifted, n, i + 2, k, s2), b, row)
    _store_times_transpose(M, a + 3 * row, _entries(d, shifted, n, i + 3, k, s3), b, row)


@jit_inlined
def _store_times_transpose(M, a, x, b, row):
    """Store x T^T for the lower triangular tile T at b."""
    x0, x1, x2, x3 = x
    y1 = x0 * load(M, b + row) + x1 * load(M, b + row + LANES)
    b2, b3 = b + 2 * row, b + 3 * row
    y2 = x0 * load(M, b2) + x1 * load(M, b2 + LANES) + x2 * load(M, b2 + 2 * LANES)
    left, right = x0 * load(M, b3) + x1 * load(M, b3 + LANES), x2 * load(M, b3 + 2 * LANES)
    _store_row(M, a, x0 * load(M, b), y1, y2, left + right + x3 * load(M, b3 + 3 * LANES))


@jit
def _invert_tile(n, M, i, k):
    """A tile of L^{-1} below the diagonal: minus the inverse of the diagonal tile times what the rows above give."""
    row = n * LANES
    x0, x1, x2, x3 = _products(M, _at(n, i, k), row, LANES, M, _at(n, k, k), LANES, row, i - k)
    a, b = _at(n, i, k), _at(n, i, i)
    for column in range(TILE):
        t0, t1, t2, t3 = x0[column], x1[column], x2[column], x3[column]
        c = a + column * LANES
        _store_negative(M, c, load(M, b) * t0)
        b1, b2, b3 = b + row, b + 2 * row, b + 3 * row
        _store_negative(M, c + row, load(M, b1) * t0 + load(M, b1 + LANES) * t1)
        y2 = load(M, b2) * t0 + load(M, b2 + LANES) * t1 + load(M, b2 + 2 * LANES) * t2
        _store_negative(M, c + 2 * row, y2)
        left, right = load(M, b3) * t0 + load(M, b3 + LANES) * t1, load(M, b3 + 2 * LANES) * t2
        _store_negative(M, c + 3 * row, left + right + load(M, b3 + 3 * LANES) * t3)


@jit_inlined
def _store_negative(M, a, x):
    store(M, a, spread(0.0) - x)


@jit
def _finish_tile(d, n, M, i, k, H):
    """A tile of the result and, by symmetry, its reflection."""
    row = n * LANES
    x0, x1, x2, x3 = _products(M, _at(n, i, i), LANES, row, M, _at(n, i, k), LANES, row, n - i)
    one, zero = spread(1.0), spread(0.0)
    for column in range(TILE):
        q = load(d, (k + column) * LANES)
        for below in range(TILE):
            x = x0[column] if below == 0 else x1[column] if below == 1 else x2[column] if below == 2 else x3[column]
            unit = one if i + below == k + column else zero
            x = (unit - x) / (q * load(d, (i + below) * LANES))
            store(H, _at(n, i + below, k + column), x)
            store(H, _at(n, k + column, i + below), x)


def apply_batch(H, n, x, y):
    """Y = H x in every lane, x and y (n, 8)."""
    for i in range(0, n, TILE):
        a, row = _at(n, i, 0), n * LANES
        s0 = s1 = s2 = s3 = spread(0.0)
        for k in range(0, n * LANES, LANES):
            b = load(x, k)
            s0, s1 = multiply_add(load(H, a), b, s0), multiply_add(load(H, a + row), b, s1)
            s2, s3 = multiply_add(load(H, a + 2 * row), b, s2), multiply_add(load(H, a + 3 * row), b, s3)
            a += LANES
        _store_row(y, i * LANES, s0, s1, s2, s3)


def add_weighted(P, H, Q, n, order, S):
    """S_ik += sum over the lanes of P_i H_ik Q_k, P and Q (n, 8), S (n, n), H of that order."""
    for i in range(n):
        a = _at(order, i, 0)
        p = load(P, i * LANES)
        for k in range(n):
            S[i * n + k] += total(p * load(H, a) * load(Q, k * LANES))
            a += LANES
