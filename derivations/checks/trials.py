"""What the trials of inequalities share: points with known flattest points, and the constants at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sympy import Symbol

from derivations import symbols as sym
from derivations.checks.equations import derivative_value
from derivations.checks.evaluate import Arithmetic, evaluate_array
from derivations.checks.points import SIZES, activation_derivatives
from derivations.checks.space import Point, Space, eliminate
from derivations.checks.ways import Way
from derivations.records import Record
from derivations.unit import UnitFunction

Array = Any

_BISECTIONS = 700
_POINTS = 20
_FURTHER = (1, 3, 10, 30, 100)  # times the nearness of the way
_ROOM = 1e3


@dataclass(frozen=True)
class Trial:
    """Both sides at several points; where `equal`, the sides must also agree, but for what `rounding` hides."""

    left: Array
    right: Array
    equal: bool
    rounding: float = 0.0


def beside_rest(
    unit: UnitFunction, way: Way, interval: tuple[float, float], rng: np.random.Generator
) -> Callable[[Any], Array]:
    """Pre-activations at given distances from equal ones, as shares of the length over which phi''' changes."""
    low, high = interval
    m, n, _ = SIZES
    middle = float(rng.uniform(0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high))
    third, fourth = (activation_derivatives(unit, middle) or [1.0, 0.0])[-2:]
    length = way.number(1.0 / max(1.0, abs(fourth / third)))
    aside = way.array(rng.normal(size=(m, n)))
    return lambda distance: way.number(middle) + distance * length * aside


def clear_of_rounding(way: Way, trial: Callable[[Any], Trial]) -> Trial:
    """The trial nearest to the case of equality in which rounding hides little, continued to that case.

    F - F* is phi''' / phi' times the square of the distance times F, and keeps the errors of F. The quotient of both
    sides differs from its limit by a multiple of the distance, which a trial at twice the distance takes out.
    """
    for factor in _FURTHER:
        distance = way.number(factor * way.nearness)
        found = trial(distance)
        if found.rounding <= way.slack / 20:
            break
    if way.slack > _ROOM * way.nearness:  # where digits are many the multiple may be large, and is left in
        return found
    further = trial(2 * distance)
    left = found.right * (2 * found.left / found.right - further.left / further.right)
    return replace(found, left=left, rounding=2 * found.rounding + further.rounding)


def lost(way: Way, space: Space, z: Array, excess: Any) -> float:
    """The relative error that rounding leaves in F - F*: at most 1, where nothing else is left of it.

    Rounding of F, and of phi where it is inverted: that moves the flattest point by phi / phi', which changes F by
    phi'' / phi'. Where phi saturates it is the larger part.
    """
    psi = lambda x: space.unit(x, (), space.at.a)  # noqa: E731 (as on paper)
    slope = space.by_z(psi)
    moved = np.max(abs(psi(z) * space.by_z(slope)(z) / slope(z) ** 2))
    noise = way.rounding * (1 + moved) * space.steepness(parameters(space.at.X, z))
    return float(noise / max(excess, noise))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of either sign, of moderate size."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def right_value(
    record: Record,
    unit: UnitFunction,
    way: Way,
    entries: Mapping[str, Any],
    shape: tuple[int, ...],
    indices: tuple[Symbol, ...] = (),
) -> Array:
    """A record's right side over its free indices (units and samples unless given), or (shape ()) as one number."""

    def derivative(node: Any, arguments: tuple[Any, ...]) -> Any:
        return derivative_value(unit, node, arguments, way.arithmetic)

    arithmetic = Arithmetic(way.arithmetic.rational, derivative=derivative)
    return evaluate_array(
        record.right,
        indices or (sym.j, sym.i)[: len(shape)],
        shape,
        lambda name, at: entries[name][at] if at else entries[name],
        arithmetic,
    )


def signed_normality(space: Space, z: Array) -> Array:
    """The largest beta of A3 at each z, with the sign of phi''."""
    first = space.by_z(lambda x: space.unit(x, (), 0 * z + 1))
    second = space.by_z(first)
    return first(z) ** 2 * space.by_z(second)(z) / second(z)


def on_manifold(way: Way, unit: UnitFunction, data: Array, a: Array, z: Array) -> tuple[Space, Array]:
    """A space whose manifold goes through the parameters that give these pre-activations."""
    weights = parameters(data, z)
    free = way.space(Point(data, a, weights, weights, np.zeros(len(data))), unit)
    return way.space(Point(data, a, weights, weights, free.output(weights)), unit), weights


def parameters(data: Array, z: Array) -> Array:
    """The parameters in the span of the data with these pre-activations, Z G^-1 X."""
    return np.dot(eliminate(np, np.dot(data, data.T), z.T).T, data)


def flattest(space: Space, z: Array) -> Array:
    """For each sample the pre-activation at which phi takes its mean over the units (S1), by bisection."""
    ones = 0 * z + 1
    phi = lambda x: space.unit(x + 0 * z, (), ones)  # noqa: E731 (as on paper)
    target = np.sum(phi(z), axis=0) / len(z)
    low, high = np.min(z, axis=0), np.max(z, axis=0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = phi(middle)[0] < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def constants(space: Space, z: Array) -> dict[str, Any]:
    """The constants of S13, bounds over the interval of the pre-activations."""
    ones = 0 * z + 1
    first = space.by_z(lambda x: space.unit(x, (), ones))
    third = space.by_z(space.by_z(first))
    grid = [z.min() + (z.max() - z.min()) * at / _POINTS for at in range(_POINTS + 1)]
    slopes, ratios = zip(
        *[(first(ones * x).min(), (third(ones * x) / first(ones * x)).min()) for x in grid], strict=True
    )
    data = space.at.X
    return {
        "mu": smallest_eigenvalue(np.dot(data, data.T)),
        "s_min": np.sum(data**2, axis=1).min(),
        "a2_min": (space.at.a**2).min(),
        "rho1": min(slopes),
        "gamma": min(ratios),
    }


def smallest_eigenvalue(gram: Array) -> Any:
    """Of a symmetric matrix of two rows (the random networks have two samples), in any kind of number."""
    (first, off), (_, second) = gram
    return (first + second - ((first - second) ** 2 + 4 * off**2) ** 0.5) / 2
