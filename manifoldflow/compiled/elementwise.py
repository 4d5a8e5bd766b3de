"""Entrywise products of small contiguous matrices by lines, which plain loops over short rows would do one by one."""

from __future__ import annotations

from .lines import LANES, load, load_first, multiply_add, spread, start, store, store_first
from .options import jit_bare


@jit_bare
def set_multiple(factor, A, out):
    """out = factor A."""
    a, o = start(A), start(out)
    size, at = out.size, 0
    while at + LANES <= size:
        store(o, at, factor * load(a, at))
        at += LANES
    store_first(o, at, factor * load_first(a, at, size - at), size - at)


@jit_bare
def column_products(A, B, out):
    """out_i = sum_j A_ji B_ji."""
    a, b, o = start(A), start(B), start(out)
    rows, columns = A.shape
    for i in range(0, columns, LANES):
        count, at = columns - i, i
        even = odd = spread(0.0)
        for _ in range(rows // 2):
            even = multiply_add(load_first(a, at, count), load_first(b, at, count), even)
            at += columns
            odd = multiply_add(load_first(a, at, count), load_first(b, at, count), odd)
            at += columns
        if rows % 2 == 1:
            even = multiply_add(load_first(a, at, count), load_first(b, at, count), even)
        store_first(o, i, even + odd, count)


@jit_bare
def multiply_upper(A, B):
    """A_ik <- A_ik B_ik in the upper half of square matrices, and in as much of the lower as lines reach into.

    Rows may be longer than the matrices are wide, as those of `geometry.Problem.G` are.
    """
    a, b = start(A), start(B)
    n = A.shape[0]
    for i in range(n):
        for k in range(i - i % LANES, n, LANES):
            count, at = n - k, i * A.shape[1] + k
            product = load_first(a, at, count) * load_first(b, i * B.shape[1] + k, count)
            store_first(a, at, product, count)
