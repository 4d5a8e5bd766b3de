"""Geodesics of the zero-loss manifold and vectors carried along them.

Record geodesic: W'' = -J^T K^{-1} q(W', W'); a vector V is carried by V' = -J^T K^{-1} q(W', V). Integrated with
Dormand and Prince's method of order 8(5,3) (Hairer, Norsett and Wanner 1993) at rtol 1e-12, in compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import DOP853

from .compiled import geodesic as compiled
from .compiled import geometry
from .errors import GeometryError, InputError, ProjectionError
from .immutable import ReadOnlyArrays, lock
from .projection import rounding_level
from .reproducible import reproducible
from .validation import Array, real_array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

RTOL = 1e-12
FLOOR = 0.1 * RTOL  # absolute tolerance over the largest entry of the point, of the velocity, of each carried vector
DRIFT = 1e5  # of f, over the rounding level: some hundred steps at RTOL
MAX_STEPS = 10_000  # a geodesic of the manifold's own scale takes some tens
_CHUNK = 64

_A, _B, _E3, _E5 = (
    np.ascontiguousarray(table, dtype=np.float64) for table in (DOP853.A, DOP853.B, DOP853.E3, DOP853.E5)
)

_FAILURES = {
    compiled.STEP_UNDERFLOW: "the step size fell to rounding level.",
    compiled.LEFT_DOMAIN: "it left the activation's domain.",
    compiled.SINGULAR: "J J^T became singular along it.",
    compiled.STEP_LIMIT: f"it needs more than {MAX_STEPS} steps.",
}


@dataclass(frozen=True, eq=False)
class Geodesic(ReadOnlyArrays):
    """A geodesic of M: points and velocities at the times asked for, and at any time between.

    `t` (k,) times, increasing; `theta` and `velocity` (k, m, d + p): points on M and tangent vectors of constant
    length; `sol(t)`: the same at one time of the integrated span. Made by `ZeroLossManifold.geodesic`.
    """

    t: Array
    theta: Array
    velocity: Array
    path: Path

    def sol(self, t: float) -> tuple[Array, Array]:
        """Point and velocity at time t, (m, d + p) each: one step of order 8 from the integrator's last point before t.

        Raises `InputError` outside the integrated span.
        """
        return self.path.lifted(t)

    def __repr__(self) -> str:
        low, high = self.path.span
        speed = float(np.linalg.norm(self.velocity[0])) if len(self.velocity) else 0.0
        return f"Geodesic(t = {low:.4g} to {high:.4g}, speed {speed:.4g}, {self.path.steps} steps)"


@dataclass(frozen=True, eq=False)
class Path:
    """The integrator's points of a geodesic in reduced coordinates: times (k,) and states (k, 2, m, r + p), from t = 0
    forwards; with `backward`, a path of the same geodesic run the other way.

    `straight` holds the part of the start, and of the velocity, that is orthogonal to the data: it moves uniformly.
    """

    manifold: ZeroLossManifold
    times: Array
    states: Array
    straight: tuple[Array, Array]
    backward: Path | None = None

    @property
    def span(self) -> tuple[float, float]:
        """First and last time."""
        return (-float(self.backward.times[-1]) if self.backward else 0.0), float(self.times[-1])

    @property
    def steps(self) -> int:
        """Number of steps that were taken."""
        return len(self.times) - 1 + (self.backward.steps if self.backward else 0)

    def reduced(self, t: float) -> tuple[Array, Array]:
        """Point on M and tangent velocity at time t, in reduced coordinates."""
        low, high = self.span
        if isinstance(t, bool) or not isinstance(t, (int, float, np.integer, np.floating)) or not low <= t <= high:
            raise InputError(f"t must be one number in the integrated span [{low:.6g}, {high:.6g}]; got {t!r}.")
        if t < 0.0 and self.backward is not None:
            W, U = self.backward.reduced(-t)
            return W, -U
        k = int(np.searchsorted(self.times, t, side="right")) - 1
        W, U = self._step(k, t - self.times[k])
        failure = self.manifold.newton(W)
        if failure is not None:
            raise ProjectionError(failure)
        return W, _tangent(self.manifold, W, U, t)

    def _step(self, k: int, h: float) -> Array:
        state = self.states[k].copy()
        if h == 0.0:
            return state
        problem, work = self.manifold.problem, self.manifold.workspace()
        stages, trial = np.empty((len(_A) + 1, *state.shape)), np.empty_like(state)
        reason = compiled.field(state, problem, work, stages[0])
        if reason == compiled.REACHED:
            reason = compiled.one_step(problem, work, h, state, stages, trial, _A, _B)
        _require_reached(reason, self.times[k])
        return trial

    @reproducible
    def lifted(self, t: float) -> tuple[Array, Array]:
        """Point and velocity at time t, in parameter space."""
        W, U = self.reduced(t)
        expand = self.manifold.coordinates.expand
        start, velocity = self.straight
        return expand(W) + start + t * velocity, expand(U) + velocity


def geodesic_path(manifold: ZeroLossManifold, theta: Array, u: Array, low: float, high: float) -> Path:
    """The geodesic from theta with velocity u (projected to be tangent) at t = 0, over [min(low, 0), max(high, 0)]."""
    coordinates = manifold.coordinates
    W = coordinates.reduce(theta)
    U = _tangent(manifold, W, coordinates.reduce(u), 0.0)
    straight = coordinates.orthogonal_part(theta), coordinates.orthogonal_part(u)
    backward = None
    if low < 0.0:
        backward = Path(manifold, *integrate(manifold, np.stack([W, -U]), -low), straight)
    return Path(manifold, *integrate(manifold, np.stack([W, U]), max(high, 0.0)), straight, backward)


def integrate(manifold: ZeroLossManifold, state: Array, end: float) -> tuple[Array, Array]:
    """The integrator's times and states from a state (k, m, r + p) at time 0 to `end`; raises `GeometryError`."""
    problem, work = manifold.problem, manifold.workspace()
    state = np.ascontiguousarray(state)
    times, states = [np.zeros(1)], [state[None].copy()]
    floors = _floors(state, float(end))
    t, h, reason = 0.0, 0.0, compiled.BUFFER_FULL
    while reason == compiled.BUFFER_FULL and sum(map(len, times)) <= MAX_STEPS:
        new_times, new_states = np.empty(_CHUNK), np.empty((_CHUNK, *state.shape))
        reason, accepted, t, h = compiled.advance(
            problem, work, t, h, float(end), state, new_times, new_states,
            _A, _B, _E3, _E5, RTOL, floors, MAX_STEPS,
        )  # fmt: skip
        times.append(new_times[:accepted])
        states.append(new_states[:accepted])
    _require_reached(compiled.STEP_LIMIT if reason == compiled.BUFFER_FULL else reason, t)
    path = np.concatenate(times), np.concatenate(states)
    _require_on_manifold(manifold, *path)
    return path


def _require_on_manifold(manifold: ZeroLossManifold, times: Array, states: Array) -> None:
    """A step that jumps over a point where the equation is singular goes on elsewhere: f shows it, which stays y."""
    if not _is_near(manifold, states[-1, 0]):
        first_off = next(k for k in range(len(times)) if not _is_near(manifold, states[k, 0]))
        _require_reached(compiled.LEFT_DOMAIN, times[max(first_off - 1, 0)])


def _is_near(manifold: ZeroLossManifold, W: Array) -> bool:
    """Whether f = y within what the tolerance lets through far out: some 1e-12 of the summands a step."""
    if manifold.is_on(W):
        return True
    work = manifold.workspace()
    return bool(geometry.residual(W, manifold.problem, work) <= DRIFT * rounding_level(manifold, W))


def _floors(state: Array, end: float) -> Array:
    """Absolute tolerances of a state's parts, (k,): relative to their sizes, so that the unit of theta does not matter.

    A point at 0 has the size of its way; a vector that is 0 stays 0, and any tolerance does.
    """
    sizes = np.abs(state).max(axis=(1, 2), initial=0.0)
    if sizes[0] == 0.0:
        sizes[0] = sizes[1] * end
    return FLOOR * np.where(sizes > 0.0, sizes, 1.0)


def _tangent(manifold: ZeroLossManifold, W: Array, U: Array, t: float) -> Array:
    out = np.empty_like(U)
    if geometry.project(W, manifold.problem, manifold.workspace(), U, out) != 0:
        _require_reached(compiled.SINGULAR, t)
    return out


def _require_reached(reason: int, t: float) -> None:
    if reason != compiled.REACHED:
        raise GeometryError(
            f"The geodesic could be followed to t = {t:.4g} only: {_FAILURES[reason]} Use a shorter velocity or time."
        )


def times_of(value: ArrayLike) -> Array:
    """Times of a geodesic: finite and increasing, (k,), k >= 1; `InputError` otherwise."""
    times = real_array("t", value, ndim=1)
    if times.size == 0 or np.any(np.diff(times) <= 0):
        raise InputError(f"t must hold one or more increasing times; got {times.size} entries.")
    return times


def sampled(path: Path, times: Array) -> Geodesic:
    """The geodesic with its points and velocities at those times, read-only."""
    points = [path.lifted(float(t)) for t in times]
    arrays = times.copy(), np.stack([point for point, _ in points]), np.stack([velocity for _, velocity in points])
    lock(arrays)
    return Geodesic(*arrays, path)
