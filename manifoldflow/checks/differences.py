"""Derivatives of a function of one number by differences, with an estimate of their error.

Central differences over steps that halve are extrapolated to 0 (Richardson; the table of Ridders 1982). The step's two
enemies set the window: truncation is seen in how far neighbouring entries of the table differ, rounding in the scatter
of nearby values (More and Wild 2011). The entry with the smallest sum of the two is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..validation import Array
from .protocol import REFUSALS

EPS = float(np.finfo(float).eps)
Order = tuple[float | None, tuple[float, float]]  # a slope, and the steps between which it was taken
NO_ORDER: Order = (None, (0.0, 0.0))
LEVELS = 44  # halvings: from the size of the point to 1e-13 of it
COLUMNS = 7  # extrapolations, to order 2 COLUMNS in the step


@dataclass(frozen=True, eq=False)
class Difference:
    """The derivative of each component, its estimated error, the rounding of a value, and the steps used.

    `steps` (l,) falling and `values` (l, 2, k), at +step and -step, are kept for the remainder's slope.
    """

    value: Array
    error: Array
    noise: Array
    window: tuple[float, float]
    steps: Array
    values: Array
    centre: Array


def differentiate(function: Callable[[float], Array], order: int, scale: float) -> Difference:
    """First or second derivative at 0 of a function t -> (k,), from steps of at most `scale`.

    Where a step is refused (one of `REFUSALS`, or a value that is not finite), it and those down to 1/64 of it are not
    used.

    >>> found = differentiate(lambda t: np.array([np.exp(2.0 * t)]), 2, 1.0)
    >>> bool(abs(found.value[0] - 4.0) < 4.0 * found.error[0] < 1e-8)
    True
    """
    centre = np.atleast_1d(np.asarray(function(0.0), dtype=np.float64))
    steps = scale * 0.5 ** np.arange(LEVELS)
    values = np.array([[tried(function, sign * h, centre.size) for sign in (1.0, -1.0)] for h in steps])
    usable = np.isfinite(values).all(axis=(1, 2))
    refused = np.flatnonzero(~usable)
    # Below all refused steps; what iterates takes shorter ways just below those, and jumps where it does.
    usable[: refused[-1] + 7 if refused.size else 0] = False
    steps, values = steps[usable], values[usable]
    if steps.size < 3:
        nothing = np.full(centre.size, np.inf)
        return Difference(np.full(centre.size, np.nan), nothing, nothing, (0.0, 0.0), steps, values, centre)
    noise = np.maximum(2.0 * EPS * np.abs(np.vstack([centre, values[-1]])).max(axis=0), _quantum(values - centre))
    value, error, best = _best(steps, values, centre, noise, order)
    typical = float(np.median(steps[best]))
    # What iterates, as a projection does, may round more coarsely away from 0.
    for middle in (0.0, typical):
        noise = np.maximum(noise, 3.0 * _scatter(function, middle, 1e-3 * typical, centre.size))
    value, error, best = _best(steps, values, centre, noise, order)
    window = float(steps[best].min()), float(steps[best].max())
    return Difference(value, error, noise, window, steps, values, centre)


def tried(function: Callable[[float], Array], t: float, size: int) -> Array:
    """A value, or NaN where it is refused."""
    try:
        with np.errstate(all="ignore"):
            return np.atleast_1d(np.asarray(function(t), dtype=np.float64))
    except REFUSALS:
        return np.full(size, np.nan)


def _best(steps: Array, values: Array, centre: Array, noise: Array, order: int) -> tuple[Array, Array, Array]:
    """For each component the table's most trustworthy entry, its error, and its level."""
    h = steps[:, None]
    if order == 1:
        column, rounding = (values[:, 0] - values[:, 1]) / (2.0 * h), noise / h
    else:
        column, rounding = (values[:, 0] - 2.0 * centre + values[:, 1]) / h**2, 4.0 * noise / h**2
    value = np.full(centre.size, np.nan)
    error, level = np.full(centre.size, np.inf), np.zeros(centre.size, dtype=int)
    for k in range(1, min(COLUMNS, steps.size - 1)):
        finer = column[1:] + (column[1:] - column[:-1]) / (4.0**k - 1.0)
        # With three neighbours, since of so many entries some agree with one or two by chance.
        before = np.vstack([np.full((1, centre.size), np.inf), finer[:-1]])
        neighbours = np.stack([column[1:], column[:-1], before])
        apart = np.abs(finer - neighbours).max(axis=0) + 2.0 * rounding[k:]
        where = np.argmin(apart, axis=0)
        found = np.take_along_axis(apart, where[None], axis=0)[0]
        better = found < error
        value = np.where(better, np.take_along_axis(finer, where[None], axis=0)[0], value)
        error, level = np.where(better, found, error), np.where(better, where + k, level)
        column = finer
    return value, error, level


def _quantum(changes: Array) -> Array:
    """The smallest change of a value, where short steps change nothing: of a rounded function, its last digit."""
    sizes = np.abs(changes).reshape(-1, changes.shape[-1])
    smallest = np.where(sizes > 0.0, sizes, np.inf).min(axis=0)
    return np.where((sizes == 0.0).any(axis=0) & np.isfinite(smallest), smallest, 0.0)


def _scatter(function: Callable[[float], Array], middle: float, spacing: float, size: int) -> Array:
    """Standard deviation of a value's rounding from sixth differences, in which what is smooth has vanished."""
    values = np.array([tried(function, middle + spacing * j, size) for j in range(-5, 6)])
    sixth = np.diff(values, n=6, axis=0)
    scatter = np.sqrt(np.mean(sixth**2, axis=0) * math.factorial(6) ** 2 / math.factorial(12))
    return np.where(np.isfinite(scatter), scatter, np.inf)


def slope(steps: Array, remainders: Array, noise: float) -> Order:
    """The order in h of a remainder: its slope over the three smallest octaves that stand clear of rounding.

    None where the remainder never does, as for a function that its Taylor polynomial equals.
    """
    clear = np.isfinite(remainders) & (remainders > 50.0 * noise)
    runs = np.flatnonzero(clear[3:] & clear[2:-1] & clear[1:-2] & clear[:-3])
    if runs.size == 0:
        return NO_ORDER
    low = runs[-1] + 3
    order = float(np.log2(remainders[low - 3] / remainders[low]) / 3.0)
    return order, (float(steps[low]), float(steps[low - 3]))


def smallest_order(orders: list[Order]) -> Order:
    """The smallest slope of several."""
    return min((entry for entry in orders if entry[0] is not None), key=lambda entry: entry[0] or 0.0, default=NO_ORDER)
