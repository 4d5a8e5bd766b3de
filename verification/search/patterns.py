"""Critical points whose units disagree, counted: phi'' equal over the units (S1), for one sample and every label."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from .family import Array, Family

REACH = 12.0
"""Features beyond this are not looked at."""
_Z_POINTS, _K_POINTS = 4801, 2400


def pattern_counts(family: Family, values: tuple[float, ...], labels: Array, m: int) -> Array:
    """How many kinds of disagreeing critical points M has for each label y (k,), units counted as alike.

    phi'' is cut into its monotone pieces; with c_b units on piece b at the common value k, sum_b c_b phi(z_b(k)) = y is
    one equation in k, whose roots are counted by changes of sign. Two roots closer than the grid in k are missed.

    >>> tanh = Family.of("tanh(z)", {})
    >>> pattern_counts(tanh, (), np.array([0.99, 1.1, 1.16]), 2).tolist()  # two units disagree for 1 < y < 2/sqrt(3)
    [0, 1, 0]
    """
    z, k = np.linspace(-REACH, REACH, _Z_POINTS), _levels(family, values)
    counts = np.zeros(labels.size, dtype=int)
    if k.size == 0:
        return counts
    phi = family.table(z, values)[0]
    pieces = [_inverse(z[cut], family.table(z[cut], values)[2], k) for cut in _monotone(family.table(z, values)[2])]
    outputs = np.array([np.where(np.isnan(piece), np.nan, np.interp(piece, z, phi)) for piece in pieces])
    for share in _shares(m, len(pieces)):
        used = share > 0
        if used.sum() > 1:
            with np.errstate(invalid="ignore"):
                sums = share[used] @ outputs[used] - labels[:, None]
                counts += (sums[:, 1:] * sums[:, :-1] < 0.0).sum(axis=1)
    return counts


def _levels(family: Family, values: tuple[float, ...]) -> Array:
    """Values of phi'' that more than one piece may take."""
    bend = family.table(np.linspace(-REACH, REACH, _Z_POINTS), values)[2]
    turns = bend[1:-1][(bend[1:-1] - bend[:-2]) * (bend[2:] - bend[1:-1]) < 0.0]
    if turns.size == 0:
        return np.zeros(0)
    low, high = float(turns.min()), float(turns.max())
    if turns.size == 1:
        low, high = float(bend.min()), float(bend.max())
    return np.linspace(low, high, _K_POINTS)


def _monotone(bend: Array) -> list[slice]:
    """Where phi'' is monotone on the grid."""
    turns = np.flatnonzero(np.diff(bend)[1:] * np.diff(bend)[:-1] < 0.0) + 1
    edges = [0, *turns.tolist(), bend.size - 1]
    return [slice(a, b + 1) for a, b in pairwise(edges)]


def _inverse(z: Array, bend: Array, k: Array) -> Array:
    """z on this piece at each value of phi'', NaN outside."""
    if bend[0] > bend[-1]:
        z, bend = z[::-1], bend[::-1]
    return np.interp(k, bend, z, left=np.nan, right=np.nan)


def _shares(m: int, pieces: int) -> Iterator[Array]:
    """How many of m units are on each piece, every way."""
    if pieces == 1:
        yield np.array([m])
        return
    for first in range(m + 1):
        for rest in _shares(m - first, pieces - 1):
            yield np.concatenate([[first], rest])
