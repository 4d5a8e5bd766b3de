"""SGD in pre-activation coordinates: a use of sample i adds a rank-one term G_i h^T to Z, whatever d is.

Z is held as (n, M), one sample a row; M is m rounded up to whole lines (see `lines`). The units beyond m are copies of
the last one that no output counts, so that nothing has to stop in the middle of a line. Where Z is small every term is
added at once. Elsewhere the terms of the last steps wait in `pending`: a step forms the one row that it reads, and a
full list is added to Z in one sweep. The same coefficients go to `moved` at once, so that the parameters come back as
W_0 + moved^T R without solving with G.

Heavy ball, theta_{k+1} = theta_k + v_{k+1} with v_{k+1} = beta v_k + h_k, is held as q = theta + beta / (1 - beta) v,
which moves by h / (1 - beta) and so takes rank-one terms too, and v / beta^k, which takes h / beta^k: no step touches
every row. `decay` is beta^k since v was last scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .lines import LANES, load, start, store, total
from .options import jit, jit_inlined
from .pending import add_pending, enter, form_row
from .pointers import SAMPLE_FIRST_ORDER, fill_sample

_SMALLEST_DECAY = 1e-100


class Walk(NamedTuple):
    """The arrays of one run. Without momentum those of the velocity, v, moved_v, own_q and own_v, have no rows.

    q, v, moved, moved_v (n, M); own, own_q, own_v (p, M): the units' own parameters, and their q and v; pending
    (M / LANES, P, LANES), terms in lines, P a multiple of GROUP, or 0 where every term is added at once; `members` (P,)
    that they belong to and `boosts` (P,), what turns their part of q into that of v; `held` (1,), how many there are;
    decay (1,).
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
    """Room to write in: out (2 + p, M), f and its gradient for one sample; row (M,); weights (P,); own_step (p, M), 0
    between steps. And `counted` (M,): 1 for a unit, 0 for a copy.
    """

    out: np.ndarray
    row: np.ndarray
    weights: np.ndarray
    own_step: np.ndarray
    counted: np.ndarray


class Given(NamedTuple):
    """What the steps read: the unit's function; G, y, the coefficients `a`, with G's and a's rows `G_row` and `a_row`
    apart; the block's rows, noise and scale; the sizes.
    """

    unit: int
    G: np.ndarray
    G_row: int
    y: np.ndarray
    a: np.ndarray
    a_row: int
    rows: np.ndarray
    noise: np.ndarray
    scale: np.ndarray
    n: int
    m: int
    M: int
    own_size: int
    capacity: int
    batch: int


@jit
def sgd_steps(walk, room, problem, a, momentum, rows, noise, scale, first, last, limit):
    """Take steps first..last-1 of a block in place; returns the number of the step that failed, else `last`.

    Step k uses the samples rows[k] (b,) with label noise[k] (b,), all at the same parameters: q moves by the terms
    scale[k] (f_i - y_i - noise) grad f_i. A step fails when an error f_i - y_i leaves [-limit, limit]. a is (n, M), or
    (1, M) where all its rows are equal.
    """
    M = walk.q.shape[1]
    n = walk.q.shape[0] if problem.R.shape[1] > 0 else 0  # rows that a term moves: none where units meet no inputs
    given = Given(
        problem.unit[SAMPLE_FIRST_ORDER], start(problem.G), problem.G.shape[1], start(problem.y), start(a),
        M if a.shape[0] > 1 else 0, start(rows), start(noise), start(scale),
        n, problem.a.shape[0], M, walk.own.size, walk.members.shape[0], rows.shape[1],
    )  # fmt: skip
    places = Walk(
        start(walk.q), start(walk.v), start(walk.moved), start(walk.moved_v), start(walk.own), start(walk.own_q),
        start(walk.own_v), start(walk.pending), start(walk.members), start(walk.boosts), start(walk.held),
        start(walk.decay),
    )  # fmt: skip
    free = Room(start(room.out), start(room.row), start(room.weights), start(room.own_step), start(room.counted))
    if given.capacity == 0:
        return _steps_at_once(places, free, given, first, last, limit)
    return _steps_pending(places, free, given, momentum, first, last, limit)


@jit
def _steps_at_once(walk, room, given, first, last, limit):
    """Steps of one sample without momentum, each added to Z as it is taken."""
    q, moved, own, out, G, n, M = walk.q, walk.moved, walk.own, room.out, given.G, given.n, given.M
    for step in range(first, last):
        i = given.rows[step]
        fill_sample(given.unit, q, i * M, own, given.a, i * given.a_row, out, given.m, M)
        error = _output(out, room.counted, M) - given.y[i]
        if not abs(error) <= limit:
            return step
        factor = given.scale[step] * (error - given.noise[step])
        for j in range(0, M, LANES):
            term = factor * load(out, M + j)
            store(moved, i * M + j, load(moved, i * M + j) + term)
            for k in range(n):
                store(q, k * M + j, load(q, k * M + j) + G[i * given.G_row + k] * term)
        for j in range(0, given.own_size, LANES):
            store(own, j, load(own, j) + factor * load(out, 2 * M + j))
    return last


@jit
def _steps_pending(walk, room, given, momentum, first, last, limit):
    """Steps whose terms wait."""
    out, M, b = room.out, given.M, given.batch
    lag = -momentum / (1.0 - momentum)
    for step in range(first, last):
        if walk.held[0] + b > given.capacity:
            add_pending(walk, room.weights, given, momentum)
        for k in range(step * b, step * b + b):
            i = given.rows[k]
            form_row(room.row, walk, room.weights, given, i, lag * walk.decay[0])
            fill_sample(given.unit, room.row, 0, walk.own, given.a, i * given.a_row, out, given.m, M)
            error = _output(out, room.counted, M) - given.y[i]
            if not abs(error) <= limit:
                return step
            factor = given.scale[step] * (error - given.noise[k])
            slot = walk.held[0] + k - step * b
            walk.members[slot] = i
            enter(walk, out, given, factor, slot, i * M)
            for j in range(0, given.own_size, LANES):
                store(room.own_step, j, load(room.own_step, j) + factor * load(out, 2 * M + j))
        if momentum > 0.0:
            _push(walk, given, momentum)
        walk.held[0] += b
        _move_own(walk, room.own_step, given.own_size, momentum, lag)
    return last


@jit_inlined
def _output(out, counted, M):
    """Sum of the outputs of the units that count, in two parts: one would wait for every addition."""
    even = load(out, 0) * load(counted, 0)
    if M == LANES:
        return total(even)
    odd = load(out, LANES) * load(counted, LANES)
    for j in range(2 * LANES, M - LANES, 2 * LANES):
        even += load(out, j) * load(counted, j)
        odd += load(out, j + LANES) * load(counted, j + LANES)
    if M % (2 * LANES) != 0:
        even += load(out, M - LANES) * load(counted, M - LANES)
    return total(even + odd)


@jit
def _push(walk, given, momentum):
    """Enter the newest pending terms, those of one step, into the velocity's arrays."""
    first, decay, M = walk.held[0], walk.decay[0] * momentum, given.M
    if decay < _SMALLEST_DECAY:
        _scale(walk.v, given.n * M, decay)
        _scale(walk.moved_v, given.n * M, decay)
        _scale(walk.own_v, given.own_size, decay)
        for s in range(first):
            walk.boosts[s] *= decay
        decay = 1.0
    walk.decay[0] = decay
    for s in range(first, first + given.batch):
        walk.boosts[s] = boost = (1.0 - momentum) / decay
        at = walk.members[s] * M
        for j in range(0, M, LANES):
            term = boost * load(walk.pending, j * given.capacity + s * LANES)
            store(walk.moved_v, at + j, load(walk.moved_v, at + j) + term)


@jit
def _scale(array, size, factor):
    for j in range(0, size, LANES):
        store(array, j, factor * load(array, j))


@jit_inlined
def _move_own(walk, own_step, size, momentum, lag):
    """The units' own parameters; few, so they move at once."""
    for j in range(0, size, LANES):
        step = load(own_step, j)
        store(own_step, j, 0.0 * step)
        if momentum > 0.0:
            ahead = load(walk.own_q, j) + step
            velocity = load(walk.own_v, j) + (1.0 - momentum) / walk.decay[0] * step
            store(walk.own_q, j, ahead)
            store(walk.own_v, j, velocity)
            store(walk.own, j, ahead + lag * walk.decay[0] * velocity)
        else:
            store(walk.own, j, load(walk.own, j) + step)


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
def largest_curvature(Z, own, problem, a, kick, out, moved, moved_own):
    """max_i K_ii, over samples i and both signs, after a step along grad f_i that moves f_i by `kick` to first order.

    Z and a (n, m) and own (p, m) are kept; out (2 + p, m), moved (m,) and moved_own (p, m) are room. NaN outside the
    activation's domain.
    """
    largest = 0.0
    for i in range(problem.G.shape[0]):
        for sign in (-1.0, 1.0):
            _copy_point(Z, own, i, moved, moved_own)
            here = _curvature(moved, moved_own, problem, a, i, out)
            for j in range(moved.shape[0]):
                moved[j] += sign * kick / here * problem.s[i] * out[1, j]
                for t in range(own.shape[0]):
                    moved_own[t, j] += sign * kick / here * out[2 + t, j]
            there = _curvature(moved, moved_own, problem, a, i, out) if kick > 0.0 else here
            if not there <= largest:
                largest = there
            if largest != largest:
                return largest
    return largest


@jit
def _copy_point(Z, own, i, z, c):
    for j in range(z.shape[0]):
        z[j] = Z[i, j]
        for t in range(own.shape[0]):
            c[t, j] = own[t, j]


@jit
def _curvature(z, own, problem, a, i, out):
    """K_ii = |grad f_i|^2; leaves the gradient in out[1:]."""
    m = z.shape[0]
    unit = problem.unit[SAMPLE_FIRST_ORDER]
    fill_sample(unit, start(z), 0, start(own), start(a), i * m, start(out), m, m)
    squares = 0.0
    for j in range(m):
        squares += problem.s[i] * out[1, j] * out[1, j]
        for t in range(2, out.shape[0]):
            squares += out[t, j] * out[t, j]
    return squares
