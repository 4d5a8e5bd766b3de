"""Trials of what follows from convexity: minimum, rates, distances, confinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from derivations import symbols as sym
from derivations.checks.definitions import flow_field
from derivations.checks.points import SIZES
from derivations.checks.space import Space
from derivations.checks.trials import (
    Array,
    Trial,
    beside_rest,
    clear_of_rounding,
    constants,
    flattest,
    lost,
    on_manifold,
    parameters,
    right_value,
    signed,
    signed_normality,
)
from derivations.checks.ways import Way
from derivations.records import Record
from derivations.unit import UnitFunction

Interval = tuple[float, float]


@dataclass(frozen=True)
class _Place:
    """A point of a manifold whose data and pre-activations are known."""

    space: Space
    weights: Array
    z: Array

    @property
    def sharpness(self) -> Any:
        """F here, by its formula on the manifold: the trace keeps a residual of rounding, times all of D^2 f."""
        return self.space.steepness(self.weights)

    @property
    def velocity(self) -> Array:
        """Minus the Riemannian gradient here."""
        return flow_field(self.space)(self.weights)


def _place(unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator) -> _Place:
    """A random point, coefficients 1."""
    m, n, d = SIZES
    data = way.array(rng.normal(size=(n, d)))
    z = way.array(rng.uniform(*interval, (m, n)))
    return _Place(*on_manifold(way, unit, data, way.array(np.ones((m, n))), z), z)


def _near(unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator) -> _Place:
    """A point close to the flattest one of orthogonal data, where bounds by the least constants are attained."""
    return _beside(unit, way, interval, rng)(way.number(way.nearness))


def _beside(unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator) -> Callable[[Any], _Place]:
    """The points at given distances from the flattest one of orthogonal data, in one direction."""
    m, n, d = SIZES
    beside, data, ones = beside_rest(unit, way, interval, rng), way.array(2 * np.eye(n, d)), way.array(np.ones((m, n)))

    def place(distance: Any) -> _Place:
        z = beside(distance)
        return _Place(*on_manifold(way, unit, data, ones, z), z)

    return place


def _least_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S2: the value at the flattest point, and that a random point lies higher."""
    place = _place(unit, way, interval, rng)
    zeta = flattest(place.space, place.z)
    at_rest = parameters(place.space.at.X, 0 * place.z + zeta)
    right = right_value(record, unit, way, _entries(place) | {"zeta": zeta}, ())[()]
    left = place.space.steepness(at_rest)
    return [
        Trial(np.array([left]), np.array([right]), equal=True),
        Trial(np.array([max(place.sharpness, right)]), np.array([place.sharpness]), equal=True),
    ]


def _slope_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S10: slopes over third derivatives, by differentiating the unit with signed coefficients."""
    m, n, d = SIZES
    data, a = way.array(rng.normal(size=(n, d))), way.array(signed(rng, (m, n)))
    z = way.array(rng.uniform(*interval, (m, n)))
    space, _ = on_manifold(way, unit, data, a, z)
    slope = space.by_z(lambda x: space.unit(x, (), a))
    left = np.sum(slope(z) / space.by_z(space.by_z(slope))(z), axis=0)
    right = right_value(record, unit, way, {"m": m, "n": n, "z": z, "a": a}, (n,), (sym.i,))
    return [Trial(left, right, equal=True)]


def _modulus_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S3: the Hessian along the flow's own velocity, close to the flattest point."""
    beside = _beside(unit, way, interval, rng)

    def trial(distance: Any) -> Trial:
        place = beside(distance)
        velocity = place.velocity
        left = _rate(place, velocity) / (-2 * np.sum(velocity**2))
        right = right_value(record, unit, way, _region(place, velocity), ())[()]
        return Trial(np.array([left]), np.array([right]), equal=True)

    return [clear_of_rounding(way, trial)]


def _decay_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S4: the rate of |grad F|^2 along the flow, close to the flattest point."""
    beside = _beside(unit, way, interval, rng)

    def trial(distance: Any) -> Trial:
        place = beside(distance)
        velocity = place.velocity
        right = right_value(record, unit, way, _region(place, velocity), ())[()]
        return Trial(np.array([_rate(place, velocity)]), np.array([right]), equal=True)

    return [clear_of_rounding(way, trial)]


def _local_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S5: close to the flattest point, where it is attained."""
    beside = _beside(unit, way, interval, rng)
    return [clear_of_rounding(way, lambda distance: _local_trial(record, unit, way, beside(distance)))]


def _local_trial(record: Record, unit: UnitFunction, way: Way, place: _Place) -> Trial:
    velocity = place.velocity
    at_rest = parameters(place.space.at.X, 0 * place.z + flattest(place.space, place.z))
    sharpness, least = place.sharpness, place.space.steepness(at_rest)
    entries = _region(place, velocity) | {"F": sharpness, "Fstar": least}
    right = right_value(record, unit, way, entries, ())[()]
    left = np.array([np.sum(velocity**2)])
    return Trial(left, np.array([right]), equal=True, rounding=lost(way, place.space, place.z, sharpness - least))


def _distance_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S6: at a random point and close to the flattest one."""
    trials = []
    for make in (_place, _near):
        place = make(unit, way, interval, rng)
        left = np.max(abs(place.z - flattest(place.space, place.z)), axis=0)
        entries = _entries(place) | constants(place.space, place.z) | _third(place) | {"gnorm": _norm(place.velocity)}
        trials.append(Trial(left, right_value(record, unit, way, entries, left.shape, (sym.i,)), equal=False))
    return trials


def _confinement_trials(
    record: Record, unit: UnitFunction, way: Way, interval: Interval, rng: np.random.Generator
) -> list[Trial]:
    """S7: at a random point, and for one unit at one sample, where it is attained."""
    place = _place(unit, way, interval, rng)
    z = way.array(rng.uniform(*interval, (1, 1)))
    alone = _Place(*on_manifold(way, unit, way.array(rng.normal(size=(1, 2))), way.array(signed(rng, (1, 1))), z), z)
    trials = []
    for at, equal in ((place, False), (alone, True)):
        slope = _slope(at.space)(at.z)
        entries = _entries(at) | {"F0": at.sharpness, "a": at.space.at.a}
        trials.append(Trial(slope**2, right_value(record, unit, way, entries, at.z.shape), equal=equal))
    return trials


def _rate(place: _Place, velocity: Array) -> Any:
    """The derivative of |grad F|^2 along the velocity."""
    field = flow_field(place.space)
    return place.space.along(lambda w: np.sum(field(w) ** 2), velocity)(place.weights)


def _region(place: _Place, velocity: Array) -> dict[str, Any]:
    """The constants of S3 for the least kappa whose region holds the place; a = 1, so tau = s_min."""
    found = constants(place.space, place.z) | _third(place)
    beta, tau = min(abs(signed_normality(place.space, place.z)).flat), found["s_min"]
    kappa = _norm(velocity) / (found["mu"] ** 0.5 * beta * tau)
    modulus = (4 - kappa) * found["rho1"] * found["rho2"] * tau * found["mu"]
    return found | {"kappa": kappa, "tau": tau, "modulus": modulus, "gnorm": _norm(velocity)}


def _third(place: _Place) -> dict[str, Any]:
    """The least third derivative between the pre-activations; A1 holds there and the grid is fine."""
    third = place.space.by_z(place.space.by_z(_slope(place.space)))
    low, high = place.z.min(), place.z.max()
    grid = np.array([[low + (high - low) * at / _POINTS] for at in range(_POINTS + 1)])
    return {"rho2": third(grid).min()}


def _slope(space: Space) -> Callable[[Array], Array]:
    """The derivative of phi."""
    return space.by_z(lambda x: space.unit(x, (), 0 * x + 1))


def _norm(vector: Array) -> Any:
    return np.sum(vector**2) ** 0.5


def _entries(place: _Place) -> dict[str, Any]:
    m, n = place.z.shape
    return {"m": m, "n": n, "z": place.z, "s": np.sum(place.space.at.X**2, axis=1)}


_POINTS = 20

THEOREM_TRIALS: Mapping[str, Callable[..., list[Trial]]] = MappingProxyType(
    {
        "flattest_value": _least_trials,
        "feature_slope": _slope_trials,
        "modulus": _modulus_trials,
        "local_decay": _decay_trials,
        "local_pl": _local_trials,
        "distance": _distance_trials,
        "confinement": _confinement_trials,
    }
)
"""By the name of the record."""
