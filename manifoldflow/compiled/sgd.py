"""SGD in pre-activation coordinates: a use of sample i adds a rank-one term G_i h^T to Z, whatever d is.

Z is held as (n, M), one sample a row; M is m rounded up to whole cache lines, and what is beyond m stays 0. The terms
of the last steps wait in `pending`: a step forms the one row that it reads, and a full list is added to Z in one pass.
The same coefficients go to `moved` at once, so that the parameters come back as W_0 + moved^T R without solving with G.

Heavy ball, theta_{k+1} = theta_k + v_{k+1} with v_{k+1} = beta v_k + h_k, is held as q = theta + beta / (1 - beta) v,
which moves by h / (1 - beta) and so takes rank-one terms too, and v / beta^k, which takes h / beta^k: no step touches
every row. `decay` is beta^k since v was last scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .lapack import gemm
from .options import jit
from .pointers import SAMPLE_FIRST_ORDER, sample_first_order_at

LANES = 8  # numbers in a cache line
IN_CACHE = 2**19  # a Z of at most so many numbers stays in cache: plain loops pass over it faster than a matrix product
_DENSE = 16  # pending terms that a matrix product is worth calling for
_SMALLEST_DECAY = 1e-100


class Walk(NamedTuple):
    """The arrays of one run. With momentum 0 those of the velocity are empty.

    q, v, moved, moved_v (n, M); own, own_q, own_v (m, p): the units' own parameters, and their q and v; pending (P, M)
    with the `members` (P,) they belong to and `boosts` (P,), what turns their part of q into that of v; `held` (1,),
    how many there are; decay (1,).
    """

    q: np.ndarray
    v: np.ndarray
    moved: np.ndarray
    moved_v: np.ndarray
    own: np.ndarray
    own_q: np.ndarray
    own_v: np.ndarray
    pending: np.ndarray
    members: np.ndarray
    boosts: np.ndarray
    held: np.ndarray
    decay: np.ndarray


class Room(NamedTuple):
    """Room to write in: outputs f (M,), g (1 + p, M), a row (M,), weights (P, n), the own parameters' step (p, M)."""

    f: np.ndarray
    g: np.ndarray
    row: np.ndarray
    weights: np.ndarray
    own_step: np.ndarray


@jit
def sgd_steps(walk, room, problem, a, momentum, rows, noise, scale, first, last, limit):
    """Take steps first..last-1 of a block in place; returns the number of the step that failed, else `last`.

    Step k uses the samples rows[k] (b,) with label noise[k] (b,), all at the same parameters: h = scale[k] (f_i - y_i -
    noise) grad f_i. A step fails when an error f_i - y_i leaves [-limit, limit]. a is (n, m), or (1, m) where all its
    rows are equal.
    """
    # Fields become names once, and no row a variable of its own: counting references would cost more than the work.
    q, v, moved, moved_v, own, own_q, own_v, pending, members, boosts, held_before, decay = walk
    f, g, row, weights, own_step = room
    unit = problem.unit[SAMPLE_FIRST_ORDER]
    G, y = problem.G, problem.y
    m, p, b = own.shape[0], own.shape[1], rows.shape[1]
    z = row[:m]
    per_sample = a.shape[0] > 1
    lag = -momentum / (1.0 - momentum)
    held = held_before[0]
    for step in range(first, last):
        if held + b > pending.shape[0]:
            if pending.shape[0] == 1:
                _add_one(q, G, pending, members[0])
            else:
                _add_pending(q, v, G, pending, members, boosts, held, weights)
            held = 0
        for k in range(b):
            i = rows[step, k]
            _copy_row(row, q, i)
            if held > 0 or momentum > 0.0:
                _correct_row(row, v, G, i, pending, members, boosts, held, lag * decay[0])
            sample_first_order_at(unit)(z, own, a[i if per_sample else 0], f, g)
            error = _total(f) - y[i]
            if not abs(error) <= limit:
                return step
            factor = scale[step] * (error - noise[step, k]) / (1.0 - momentum)
            members[held + k] = i
            _enter(pending, moved, g, factor, held + k, i)
            if p > 0:
                _enter_own(own_step, g, factor)
        if momentum > 0.0:
            _push(v, moved_v, own_v, pending, members, boosts, decay, held, held + b, momentum)
        held += b
        if p > 0:
            _move_own(own, own_q, own_v, own_step, momentum, lag, decay[0])
    held_before[0] = held
    return last


@jit
def _total(f):
    """Sum of a whole number of cache lines, in four parts: one would wait for every addition."""
    t0 = t1 = t2 = t3 = 0.0
    for j in range(0, f.shape[0], 4):
        t0 += f[j]
        t1 += f[j + 1]
        t2 += f[j + 2]
        t3 += f[j + 3]
    return (t0 + t1) + (t2 + t3)


@jit
def _copy_row(row, q, i):
    for j in range(row.shape[0]):
        row[j] = q[i, j]


@jit
def _correct_row(row, v, G, i, pending, members, boosts, count, lag):
    """From row i of q to that of Z: theta = q + lag v, lag = -beta decay / (1 - beta), and the pending terms."""
    if lag != 0.0:
        for j in range(row.shape[0]):
            row[j] += lag * v[i, j]
    whole = count // 4 * 4
    for s in range(0, whole, 4):
        w0 = G[i, members[s]] * (1.0 + lag * boosts[s])
        w1 = G[i, members[s + 1]] * (1.0 + lag * boosts[s + 1])
        w2 = G[i, members[s + 2]] * (1.0 + lag * boosts[s + 2])
        w3 = G[i, members[s + 3]] * (1.0 + lag * boosts[s + 3])
        for j in range(row.shape[0]):
            row[j] += (w0 * pending[s, j] + w1 * pending[s + 1, j]) + (w2 * pending[s + 2, j] + w3 * pending[s + 3, j])
    for s in range(whole, count):
        w0 = G[i, members[s]] * (1.0 + lag * boosts[s])
        for j in range(row.shape[0]):
            row[j] += w0 * pending[s, j]


@jit
def _enter(pending, moved, g, factor, slot, i):
    """Enter factor * grad f_i as a pending term, and into the coefficients."""
    for j in range(pending.shape[1]):
        term = factor * g[0, j]
        pending[slot, j] = term
        moved[i, j] += term


@jit
def _enter_own(own_step, g, factor):
    for t in range(own_step.shape[0]):
        for j in range(own_step.shape[1]):
            own_step[t, j] += factor * g[t + 1, j]


@jit
def _add_one(q, G, pending, i):
    """q += G_i h^T for the only pending term, at momentum 0: what `_add_pending` does, without the cost of its call."""
    for k in range(q.shape[0]):
        weight = G[i, k]
        for j in range(q.shape[1]):
            q[k, j] += weight * pending[0, j]


@jit
def _add_pending(q, v, G, pending, members, boosts, count, weights):
    """q += sum_s G_s h_s^T over the pending terms, and v += the same with their boosts."""
    for s in range(count):
        for k in range(G.shape[1]):
            weights[s, k] = G[members[s], k]
    _add_terms(q, weights, pending, count)
    if v.shape[0] > 0:
        for s in range(count):
            for k in range(G.shape[1]):
                weights[s, k] *= boosts[s]
        _add_terms(v, weights, pending, count)


@jit
def _add_terms(out, weights, pending, count):
    """out += weights^T pending, over the first `count` rows of both."""
    if count >= _DENSE and out.size > IN_CACHE:
        gemm(True, False, 1.0, weights[:count], pending[:count], 1.0, out)
        return
    whole = count // 4 * 4
    for s in range(0, whole, 4):
        for k in range(out.shape[0]):
            w0, w1, w2, w3 = weights[s, k], weights[s + 1, k], weights[s + 2, k], weights[s + 3, k]
            for j in range(out.shape[1]):
                out[k, j] += (w0 * pending[s, j] + w1 * pending[s + 1, j]) + (
                    w2 * pending[s + 2, j] + w3 * pending[s + 3, j]
                )
    for s in range(whole, count):
        for k in range(out.shape[0]):
            w0 = weights[s, k]
            for j in range(out.shape[1]):
                out[k, j] += w0 * pending[s, j]


@jit
def _push(v, moved_v, own_v, pending, members, boosts, decay, first, last, momentum):
    """Enter the newest pending terms, from `first` on, into the velocity's arrays."""
    decay[0] *= momentum
    if decay[0] < _SMALLEST_DECAY:
        for array in (v, moved_v, own_v):
            _scale_matrix(array, decay[0])
        for s in range(first):
            boosts[s] *= decay[0]
        decay[0] = 1.0
    for s in range(first, last):
        boosts[s] = (1.0 - momentum) / decay[0]
        for j in range(pending.shape[1]):
            moved_v[members[s], j] += boosts[s] * pending[s, j]


@jit
def _scale_matrix(array, factor):
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            array[i, j] *= factor


@jit
def _move_own(own, own_q, own_v, own_step, momentum, lag, decay):
    """The units' own parameters; few, so they move at once."""
    for j in range(own.shape[0]):
        for t in range(own.shape[1]):
            own_q[j, t] += own_step[t, j]
            own[j, t] = own_q[j, t]
            if momentum > 0.0:
                own_v[j, t] += own_step[t, j] * (1.0 - momentum) / decay
                own[j, t] += lag * decay * own_v[j, t]
            own_step[t, j] = 0.0


@jit
def distinct_samples(draws, order, rows):
    """Rows of different samples, by the first steps of a Fisher-Yates shuffle of `order` (n,), carried on row by row.

    draws (k, b): column t uniform on 0, ..., n - t - 1; rows (k, b) is filled.
    """
    for step in range(draws.shape[0]):
        for t in range(draws.shape[1]):
            other = t + draws[step, t]
            order[t], order[other] = order[other], order[t]
            rows[step, t] = order[t]


@jit
def largest_curvature(Z, own, problem, a, kick, room, moved, moved_own):
    """max_i K_ii, over samples i and both signs, after a step along grad f_i that moves f_i by `kick` to first order.

    Z (n, M) and own (m, p) are kept; moved (m,) and moved_own (m, p) are room. NaN outside the activation's domain.
    """
    largest = 0.0
    for i in range(problem.G.shape[0]):
        for sign in (-1.0, 1.0):
            _copy_point(Z, own, i, moved, moved_own)
            here = _curvature(moved, moved_own, problem, a, i, room)
            for j in range(moved.shape[0]):
                moved[j] += sign * kick / here * problem.s[i] * room.g[0, j]
                for t in range(own.shape[1]):
                    moved_own[j, t] += sign * kick / here * room.g[t + 1, j]
            there = _curvature(moved, moved_own, problem, a, i, room) if kick > 0.0 else here
            if not there <= largest:
                largest = there
            if largest != largest:
                return largest
    return largest


@jit
def _copy_point(Z, own, i, z, c):
    for j in range(z.shape[0]):
        z[j] = Z[i, j]
        for t in range(own.shape[1]):
            c[j, t] = own[j, t]


@jit
def _curvature(z, own, problem, a, i, room):
    """K_ii = |grad f_i|^2; leaves the gradient in room.g."""
    row = a[i if a.shape[0] > 1 else 0]
    sample_first_order_at(problem.unit[SAMPLE_FIRST_ORDER])(z, own, row, room.f, room.g)
    total = 0.0
    for j in range(z.shape[0]):
        total += problem.s[i] * room.g[0, j] * room.g[0, j]
        for t in range(own.shape[1]):
            total += room.g[t + 1, j] * room.g[t + 1, j]
    return total
