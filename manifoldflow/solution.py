"""Solutions of the sharpness flow: points, dense output, and why the integration ended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from .errors import InputError
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .validation import Array

# Reason codes, in the order of the compiled integrators' constants; each text says what to do.
REASONS = (
    ("running", "The integration is under way."),
    ("reached_end", "The end of t_span was reached."),
    ("stationary", "Stationary: the gradient norm is at or below gradient_tolerance or the level of rounding."),
    ("step_underflow", "The step size fell to rounding level. Loosen rtol and atol, or start elsewhere."),
    ("not_finite", "The activation is not finite near here: the flow left its domain. Check the formula's domain."),
    ("projection_failed", "A step could not be projected back onto the manifold. Tighten rtol."),
    (
        "singular",
        "J J^T became singular: the zero-loss set is not a manifold here. Remove dependent samples or add units.",
    ),
    ("buffer_full", "The record is full."),
    ("step_limit", "max_steps was reached. Raise it, loosen rtol, or use method='implicit'."),
    ("event", "A terminal event occurred."),
    ("interrupted", "Interrupted by the user; what was computed is kept."),
)
_SUCCESS = ("reached_end", "stationary", "event")


@dataclass(frozen=True, eq=False)
class FlowSolution:
    """A solution of the sharpness flow: every output point with its sharpness, gradient norm and residual.

    `t` (k,) flow times; `theta` (k, m, d + p); `sharpness`, `gradient_norm`, `residual` (max |f - y|), each (k,);
    `status` a reason code and `message` its text; `success`: the end, a stationary point or a terminal event was
    reached; `t_events`, `theta_events`: one array an event; `sol(t)`: the point at any
    time between.
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
    manifold: ZeroLossManifold
    orthogonal: Array
    path: Path | None

    @property
    def stats(self) -> MappingProxyType[str, Any]:
        """The method chosen, with accepted and rejected steps, field evaluations, factorisations and the last step."""
        return MappingProxyType(dict(self.counters))

    @property
    def success(self) -> bool:
        """True where the run ended as asked, at the end of the span, a stationary point or a terminal event."""
        return self.status in _SUCCESS

    @cached_property
    def theta(self) -> Array:
        """Points on M, (k, m, d + p), made from the reduced ones when first asked for."""
        theta = self._lift(self.W)
        theta.flags.writeable = False
        return theta

    @property
    def theta_events(self) -> tuple[Array, ...]:
        """Points at the events' times, (k_e, m, d + p) each."""
        return tuple(
            np.stack([self.sol(t) for t in times]) if times.size else self.theta[:0] for times in self.t_events
        )

    def sol(self, t: float) -> Array:
        """The point of M at flow time t, (m, d + p): dense output of order 4, projected onto M.

        Raises `InputError` outside the integrated span, or when the run was made with dense_output=False.
        """
        if self.path is None:
            raise InputError("This solution has no dense output; integrate with dense_output=True.")
        return self._lift(self.path.on_manifold(t))

    @reproducible
    def _lift(self, W: Array) -> Array:
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def __repr__(self) -> str:
        return (
            f"FlowSolution({self.status}: {self.t.size} points, t = {self.t[0]:.4g} to {self.t[-1]:.4g}, "
            f"sharpness {self.sharpness[0]:.8g} to {self.sharpness[-1]:.8g}, |grad F| {self.gradient_norm[-1]:.2e})"
        )


@dataclass(frozen=True, eq=False)
class Path:
    """Dense output: knots t (k,), points (k, m, r + p), coefficients (k - 1, 4, m, r + p) of each step's polynomial."""

    t: Array
    W: Array
    dense: Array
    manifold: ZeroLossManifold

    def raw(self, t: float) -> Array:
        """The interpolating polynomial at t, not projected."""
        if not np.isscalar(t) or not self.t[0] <= t <= self.t[-1]:
            span = f"[{self.t[0]:.6g}, {self.t[-1]:.6g}]"
            raise InputError(f"t must be one number in the integrated span {span}; got {t!r}.")
        k = min(int(np.searchsorted(self.t, t, side="right")) - 1, len(self.dense) - 1)
        if k < 0:
            return self.W[0].copy()
        x = (t - self.t[k]) / (self.t[k + 1] - self.t[k])
        q = self.dense[k]
        return self.W[k] + x * (q[0] + x * (q[1] + x * (q[2] + x * q[3])))

    @reproducible
    def on_manifold(self, t: float) -> Array:
        """The point at t, projected onto M."""
        W = self.raw(t)
        self.manifold.newton(W)
        return W
