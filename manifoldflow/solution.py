"""Solutions of the sharpness flow: points, dense output, and why the integration ended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from numpy.typing import ArrayLike

from .errors import InputError
from .immutable import ReadOnlyArrays, lock
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .trajectory import Trajectory
from .validation import Array, real_array

_SINGULAR = (
    "J J^T became singular: the zero-loss set is not a manifold here, or not at the point that the flow tends to "
    "(`flattest_point` may know it). Otherwise remove dependent samples or add units."
)
_LIMIT = (
    "The limit of the flow: F is at its lower bound on M, which the dual of a linear program gives, to rtol. J J^T is "
    "singular there, since fewer features are in use than there are samples, so that the end has no gradient to be "
    "stationary by."
)
_AT_INFINITY = (
    "F falls towards a value that it takes only at infinity: over each tenfold of t the parameters move as far as over "
    "the one before. There is no flattest point to end at; give an end of t_span, or gradient_tolerance > 0."
)
_SADDLE = (
    "The gradient is rounding, but F falls along units that have nearly died out, and they do not grow: a saddle that "
    "the flow comes too near to. `flattest_point` knows the flattest point; or give the features like scales."
)
# Reason codes, in the order of the compiled integrators' constants; each text says what to do.
REASONS = (
    ("running", "The integration is under way."),
    ("reached_end", "The end of t_span was reached."),
    ("stationary", "Stationary: the gradient norm is at or below gradient_tolerance or the level of rounding."),
    ("step_underflow", "The step size fell to rounding level. Loosen rtol and atol, or start elsewhere."),
    ("not_finite", "The activation is not finite near here: the flow left its domain. Check the formula's domain."),
    ("projection_failed", "A step could not be projected back onto the manifold. Tighten rtol."),
    ("singular", _SINGULAR),
    ("buffer_full", "The record is full."),
    ("step_limit", "max_steps was reached. Raise it, loosen rtol, or use method='implicit'."),
    ("switch", "The method is being changed."),
    ("event", "A terminal event occurred."),
    ("not_attained", _AT_INFINITY),
    ("stopped", "The callback asked to stop; what was computed is kept."),
    ("interrupted", "Interrupted by the user; what was computed is kept."),
    ("limit", _LIMIT),
    ("saddle", _SADDLE),
)
_SUCCESS = ("reached_end", "stationary", "event", "limit")


@dataclass(frozen=True, eq=False)
class FlowSolution(ReadOnlyArrays):
    """A solution of the sharpness flow: every output point with its sharpness, gradient norm and residual.

    `t` (k,) flow times; `theta` (k, m, d + p); `sharpness`, `gradient_norm`, `residual` (max |f - y|), each (k,);
    `status` a reason code and `message` its text; `success`: the end, a stationary point, the limit of the flow
    or a terminal event was reached; `t_events`, `theta_events`: one array an event; `sol(t)`: the point at any time
    between.

    Of `status`, "reached_end", "stationary", "limit" (of a diagonal network) and "event" are successes. "stopped",
    "interrupted" and "step_limit" are runs that could go on; "not_attained" and "saddle" have no flattest point
    ahead, or come too near to a saddle; "step_underflow", "not_finite", "projection_failed" and "singular" could not.
    """

    t: Array
    W: Array
    sharpness: Array
    gradient_norm: Array
    residual: Array
    status: str
    message: str
    counters: tuple[tuple[str, Any], ...]
    t_events: tuple[Array, ...]
    W_events: tuple[Array, ...]
    manifold: ZeroLossManifold
    orthogonal: Array
    path: Trajectory | None

    @property
    def stats(self) -> MappingProxyType[str, Any]:
        """The methods used, with accepted and rejected steps, field evaluations, factorisations and the last step."""
        return MappingProxyType(dict(self.counters))

    @property
    def success(self) -> bool:
        """True where the run ended as asked: end of the span, stationary, at its limit, or a terminal event."""
        return self.status in _SUCCESS

    @property
    def condition(self) -> float:
        """Condition number of J J^T at the last point; NaN where there is none, before the first of `t_eval`."""
        if not self.t.size:
            return float("nan")
        return self.manifold.condition(self._lift(self.W[-1]))

    @cached_property
    def theta(self) -> Array:
        """Points on M, (k, m, d + p), made from the reduced ones when first asked for."""
        theta = self._lift(self.W)
        lock(theta)
        return theta

    @property
    def theta_events(self) -> tuple[Array, ...]:
        """Points at the events' times, (k_e, m, d + p) each."""
        return tuple(self._lift(W) for W in self.W_events)

    def sol(self, t: ArrayLike) -> Array:
        """The point of M at flow time t, (m, d + p), of order 8 between explicit steps and 4 between implicit ones.

        For times (k,), in any order, the points (k, m, d + p). Between explicit steps a point is one step from the
        knot before, twelve evaluations of the field, or, of many, on a polynomial that is within 3e-4 of the tolerance
        there; between implicit ones it is on a polynomial. All are projected onto M.

        Raises `InputError` outside the integrated span, or when the run was made with dense_output=False.
        """
        if self.path is None:
            raise InputError("This solution has no dense output; integrate with dense_output=True.")
        times = real_array("t", t)
        if times.ndim > 1:
            raise InputError(f"t must be one time or have 1 dimension; got shape {times.shape}.")
        points = self._lift(self.path.on_manifold(times.ravel()))
        return points if times.ndim else points[0]

    @reproducible
    def _lift(self, W: Array) -> Array:
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def __repr__(self) -> str:
        if not self.t.size:
            return f"FlowSolution({self.status}: no points)"
        return (
            f"FlowSolution({self.status}: {self.t.size} points, t = {self.t[0]:.4g} to {self.t[-1]:.4g}, "
            f"sharpness {self.sharpness[0]:.8g} to {self.sharpness[-1]:.8g}, |grad F| {self.gradient_norm[-1]:.2e})"
        )
