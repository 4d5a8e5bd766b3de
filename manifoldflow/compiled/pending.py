"""Terms of SGD that wait: how a row of Z is read with them, and how they are added to Z. See `sgd` for the arrays."""

from __future__ import annotations

from .lines import LANES, load, store
from .options import jit, jit_inlined

GROUP = 8  # terms that are added at a time: two lines of each fill half of AVX-512's registers


@jit_inlined
def form_row(row, walk, weights, given, i, lag):
    """Row i of Z: theta = q + lag v, lag = -beta decay / (1 - beta), and the pending terms."""
    held, M = walk.held[0], given.M
    for s in range(held):
        weights[s] = given.G[i * given.G_row + walk.members[s]] * (1.0 + lag * walk.boosts[s])
    _clear_rest(weights, held)
    if held == 0:
        for j in range(0, M, LANES):
            store(row, j, load(walk.q, i * M + j))
    else:
        _add_group(row, walk.q, i * M, M, walk.pending, given.capacity, weights, 0)
    for s in range(GROUP, held, GROUP):
        _add_group(row, row, 0, M, walk.pending, given.capacity, weights, s)
    if lag != 0.0:
        for j in range(0, M, LANES):
            store(row, j, load(row, j) + lag * load(walk.v, i * M + j))


@jit_inlined
def _clear_rest(weights, held):
    """No weight for what else is in the last group: whole groups are added."""
    for s in range(held, -(-held // GROUP) * GROUP):
        weights[s] = 0.0


@jit_inlined
def _add_group(row, source, at, M, pending, capacity, weights, s):
    """row (M,) = source[at : at + M] plus terms s, ..., s + GROUP - 1, weighted."""
    w0, w1, w2, w3 = weights[s], weights[s + 1], weights[s + 2], weights[s + 3]
    w4, w5, w6, w7 = weights[s + 4], weights[s + 5], weights[s + 6], weights[s + 7]
    for j in range(0, M, LANES):
        term = j * capacity + s * LANES
        even = load(source, at + j) + w0 * load(pending, term)
        odd = w1 * load(pending, term + LANES)
        even += w2 * load(pending, term + 2 * LANES)
        odd += w3 * load(pending, term + 3 * LANES)
        even += w4 * load(pending, term + 4 * LANES)
        odd += w5 * load(pending, term + 5 * LANES)
        even += w6 * load(pending, term + 6 * LANES)
        odd += w7 * load(pending, term + 7 * LANES)
        store(row, j, even + odd)


@jit_inlined
def enter(walk, out, given, factor, slot, at):
    """Enter factor * grad f_i as a pending term, and into the coefficients, whose row i begins at `at`."""
    for j in range(0, given.M, LANES):
        term = factor * load(out, given.M + j)
        store(walk.pending, j * given.capacity + slot * LANES, term)
        store(walk.moved, at + j, load(walk.moved, at + j) + term)


@jit
def add_pending(walk, weights, given, momentum):
    """q += sum_s G_s h_s^T over the pending terms, and v += the same with their boosts; then none is pending."""
    held = walk.held[0]
    for s in range(held):
        weights[s] = 1.0
    _clear_rest(weights, held)
    _sweep(walk.q, walk, weights, given)
    if momentum > 0.0:
        for s in range(held):
            weights[s] = walk.boosts[s]
        _sweep(walk.v, walk, weights, given)
    walk.held[0] = 0


@jit
def _sweep(target, walk, weights, given):
    """target += sum_s weights_s G_s h_s^T: two lines of all rows at a time, which stay in cache for all groups."""
    for j in range(0, given.M, 2 * LANES):
        for s in range(0, walk.held[0], GROUP):
            _sweep_two_lines(target, walk, weights, given, j, s)


@jit_inlined
def _sweep_two_lines(target, walk, weights, given, j, s):
    """Terms s, ..., s + GROUP - 1 of two lines, written out so that they stay in registers for all rows."""
    G, M = given.G, given.M
    i0, a0, b0 = _term(walk, weights, given, j, s)
    i1, a1, b1 = _term(walk, weights, given, j, s + 1)
    i2, a2, b2 = _term(walk, weights, given, j, s + 2)
    i3, a3, b3 = _term(walk, weights, given, j, s + 3)
    i4, a4, b4 = _term(walk, weights, given, j, s + 4)
    i5, a5, b5 = _term(walk, weights, given, j, s + 5)
    i6, a6, b6 = _term(walk, weights, given, j, s + 6)
    i7, a7, b7 = _term(walk, weights, given, j, s + 7)
    for k in range(given.n):
        left, right = load(target, k * M + j), load(target, k * M + j + LANES)
        left, right = left + G[i0 + k] * a0, right + G[i0 + k] * b0
        left, right = left + G[i1 + k] * a1, right + G[i1 + k] * b1
        left, right = left + G[i2 + k] * a2, right + G[i2 + k] * b2
        left, right = left + G[i3 + k] * a3, right + G[i3 + k] * b3
        left, right = left + G[i4 + k] * a4, right + G[i4 + k] * b4
        left, right = left + G[i5 + k] * a5, right + G[i5 + k] * b5
        left, right = left + G[i6 + k] * a6, right + G[i6 + k] * b6
        left, right = left + G[i7 + k] * a7, right + G[i7 + k] * b7
        store(target, k * M + j, left)
        store(target, k * M + j + LANES, right)


@jit_inlined
def _term(walk, weights, given, j, s):
    """Where the row of G that term s belongs to begins, and two lines of the term, weighted."""
    at = j * given.capacity + s * LANES
    left, right = load(walk.pending, at), load(walk.pending, at + given.capacity * LANES)
    return walk.members[s] * given.G_row, weights[s] * left, weights[s] * right
