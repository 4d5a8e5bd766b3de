"""What a flow leaves behind: its steps and their dense output, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import geometry
from .compiled.coefficients import new_stages
from .compiled.explicit import explicit_outputs
from .compiled.implicit import implicit_outputs
from .compiled.stepping import new_trial
from .errors import InputError
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .tableaus import dormand_prince
from .trust_region import EPS, FAR
from .turning import can_turn, problem_at, residuals
from .validation import Array

# A point runs away where at its last speed it would move by more than MOVING of itself in the time it has taken, for
# which no curvature above rounding leaves a gradient when it is rounding; and where over the last tenfold of time it
# moved by more than STEADY of what it moved over the tenfold before: 1 where it grows as log t, more for a power of t,
# 0.32 and 0.68 next to minima of orders 4 and 8. It has come to rest if that was less than RESTING of itself, and where
# its gradient is rounding it has stopped if it was less than STOPPED.
MOVING, STEADY, RESTING, STOPPED = 1e-3, 0.8, 1e-6, 1e-10
# Of F, over the last tenfold of time: less is rounding.
LEAST_FALL = 4.0 * EPS


@dataclass(frozen=True, eq=False)
class Segment:
    """Consecutive steps: knots t (k + 1,), points W (k + 1, m, r + p), numbers (sharpness, |grad F|, residual) at the
    knots, (k + 1, 3).

    Between knots: what `explicit_outputs` makes of the step, where `explicit`; else each step's polynomial, `dense`
    (k, degree, m, r + p); without either the flow is integrated again. `turned_at`: the point for which the samples
    were turned, if they were.
    """

    t: Array
    W: Array
    numbers: Array
    dense: Array | None
    explicit: bool = False
    turned_at: Array | None = None

    @property
    def bytes(self) -> int:
        """Memory held."""
        return self.t.nbytes + self.W.nbytes + self.numbers.nbytes + (0 if self.dense is None else self.dense.nbytes)

    def until(self, k: int) -> Segment:
        """The first k steps."""
        dense = None if self.dense is None else self.dense[:k]
        return replace(self, t=self.t[: k + 1], W=self.W[: k + 1], numbers=self.numbers[: k + 1], dense=dense)

    def every(self, stride: int) -> Segment:
        """The first knot, then every stride-th and the last; without a way between where knots are left out."""
        if stride == 1:
            return self
        keep = np.unique(np.append(np.arange(0, self.t.size, stride), self.t.size - 1))
        return Segment(self.t[keep], self.W[keep], self.numbers[keep], None)


@dataclass(eq=False)
class Trajectory:
    """Segments of one run, in order; each begins at the knot where the one before it ended.

    Above `memory_limit` bytes first the polynomials are dropped, then every second knot, as often as needed. The point
    at a time between knots is then found by integrating again, with the same tolerances, from the knot before it.
    """

    manifold: ZeroLossManifold
    control: Any
    memory_limit: float
    segments: list[Segment] = field(default_factory=list)
    dense: bool = True
    stride: int = 1

    def add(self, segment: Segment) -> None:
        """Append a segment, and make room if that takes too much."""
        kept = segment if self.dense else replace(segment, dense=None)
        self.segments.append(kept.every(self.stride))
        while sum(part.bytes for part in self.segments) > self.memory_limit and self._thin():
            pass

    def _thin(self) -> bool:
        if self.dense:
            self.dense = False
            self.segments = [replace(part, dense=None) for part in self.segments]
            return True
        t, W, numbers = self.knots()
        if t.size <= 3:
            return False
        self.stride *= 2
        self.segments = [Segment(t, W, numbers, None).every(2)]
        return True

    def knots(self) -> tuple[Array, Array, Array]:
        """Times, points and numbers of all knots."""
        first, rest = self.segments[0], self.segments[1:]
        parts = [(first.t, first.W, first.numbers), *((s.t[1:], s.W[1:], s.numbers[1:]) for s in rest)]
        t, W, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return t, W, numbers

    @property
    def span(self) -> tuple[float, float]:
        """First and last time."""
        return float(self.segments[0].t[0]), float(self.segments[-1].t[-1])

    @reproducible
    def on_manifold(self, times: Array) -> Array:
        """Points at times (k,) in any order, (k, m, r + p): by dense output or integrated again, projected onto M."""
        first, last = self.span
        outside = times[(times < first) | (times > last)]
        if outside.size:
            raise InputError(f"t must be in the integrated span [{first:.6g}, {last:.6g}]; got {outside[0]!r}.")
        points = np.empty((times.size, *self.segments[0].W.shape[1:]))
        order = np.argsort(times, kind="stable")
        numbers = self._numbers_of_segments(times[order])
        for k in np.unique(numbers):
            chosen = order[numbers == k]
            points[chosen] = self.outputs(self.segments[k], times[chosen])[0]
        return points

    def _numbers_of_segments(self, times: Array) -> Array:
        """The segments in which times of the span lie."""
        starts = [segment.t[0] for segment in self.segments]
        return np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)

    def until_rounding(self, segment: Segment, stationary: bool) -> tuple[Segment, str | None]:
        """What of a segment to be added a run without an end goes through, and why it ends there, if it does.

        The rest is rounding, or the point too far to go on. Rounding may be the gradient, where it is `stationary`; or
        the fall of F, with the gradient or where no more than the rounding of its rounding is left: where a way's
        length grows as log t, F falls by |grad F|^2 t in all the time to come.
        """
        flat, spent = self._flat_knots(segment), self._spent_knots(segment)
        spent[-1] |= stationary
        for k in map(int, np.flatnonzero((flat | spent)[1:]) + 1):
            part = segment.until(k)
            whole = self._followed_by(part)
            ending = whole._ending() if flat[k] else None
            if ending is None and spent[k] and whole.runs_away():
                ending = "not_attained"
            if ending is not None:
                return part, ending
        return segment, None

    def _followed_by(self, segment: Segment) -> Trajectory:
        return replace(self, segments=[*self.segments, segment])

    def _flat_knots(self, segment: Segment) -> NDArray[np.bool_]:
        """The knots of a segment at which F has not fallen beyond rounding over the last tenfold of time."""
        parts = [*self.segments, segment]
        t, F = np.concatenate([part.t for part in parts]), np.concatenate([part.numbers[:, 0] for part in parts])
        late = t[0] + 0.1 * (segment.t - t[0])
        before, now = F[np.searchsorted(t, late, side="right") - 1], segment.numbers[:, 0]
        return np.asarray(before - now <= LEAST_FALL * now)

    def _spent_knots(self, segment: Segment) -> NDArray[np.bool_]:
        """The knots of a segment that are too far out to go on, or from which F has no more than rounding of its
        rounding to fall by: |grad F|^2 t, where the gradient falls as 1/t.
        """
        start, sizes = (np.linalg.norm(W.reshape(len(W), -1), axis=1) for W in (self.segments[0].W[:1], segment.W))
        t, (F, speed) = segment.t - self.span[0], segment.numbers[:, :2].T
        fallen = (self.control.gradient_tolerance == 0.0) & (speed**2 * t <= EPS**2 * F)
        return np.asarray((sizes > FAR * (1.0 + start)) | fallen)

    def runs_away(self) -> bool:
        """True where the point still moves over each tenfold of time as it did over the one before."""
        (early, _), (late, _), (end, numbers) = (self._after(share) for share in (0.01, 0.1, 1.0))
        size = max(float(np.linalg.norm(W)) for W in (self.segments[0].W[0], end))
        if not (self.span[1] - self.span[0]) * numbers[1] > MOVING * size:
            return False
        way = float(np.linalg.norm(end - late))
        return way > STEADY * float(np.linalg.norm(late - early)) and way > RESTING * size

    def _ending(self) -> str | None:
        """Why a run without an end is over where F has not fallen over the last tenfold of time; None where it is not.

        The gradient then tells how far the point went, unless it is rounding. 4 times as far is, where the point runs
        away; a million times as far, as nothing that grows out of a saddle makes it be, where it has stopped.
        """
        (late, before), (end, now) = self._after(0.1), self._after(1.0)
        if before[0] - now[0] > LEAST_FALL * now[0]:
            return None
        way, told = float(np.linalg.norm(end - late)), 0.9 * (self.span[1] - self.span[0]) * now[1]
        if told > 4.0 * way and self.runs_away():
            return "not_attained"
        return "stationary" if told > 1e6 * way and way <= STOPPED * float(np.linalg.norm(end)) else None

    def _after(self, share: float) -> tuple[Array, Array]:
        """Point and numbers at the last knot within that share of the time so far."""
        first, last = self.span
        t = first + share * (last - first)
        segment = self.segments[int(self._numbers_of_segments(np.array(t)))]
        k = int(np.searchsorted(segment.t, t, side="right")) - 1
        return segment.W[k], segment.numbers[k]

    def point(self, segment: Segment, t: float) -> Array:
        """The point of M at a time of a segment."""
        return self.outputs(segment, np.array([t]))[0][0]

    def outputs(self, segment: Segment, times: Array) -> tuple[Array, Array]:
        """Points of M (k, m, r + p) and numbers (k, 3) at increasing times of a segment; at knots those kept."""
        before = np.searchsorted(segment.t, times, side="right") - 1
        points, numbers = segment.W[before], segment.numbers[before]
        between = np.flatnonzero(times > segment.t[before])
        if between.size:
            points[between], numbers[between] = self._between_knots(segment, times[between])
        return points, numbers

    def _between_knots(self, segment: Segment, times: Array) -> tuple[Array, Array]:
        """By dense output, or where there is none or it does not land on M by integrating again."""
        points, numbers = np.empty((times.size, *segment.W.shape[1:])), np.empty((times.size, 3))
        k = 0
        while k < times.size:
            k += self._dense_outputs(segment, times[k:], points[k:], numbers[k:])
            if k < times.size:
                points[k], numbers[k] = self._integrated(segment, times[k])
                k += 1
        return points, numbers

    def _dense_outputs(self, segment: Segment, times: Array, points: Array, numbers: Array) -> int:
        """Fill in what dense output gives, up to where there is none or it does not land on M; returns how many."""
        if not segment.explicit and segment.dense is None:
            return 0
        manifold, control = self.manifold, self.control
        work, problem = manifold.workspace(), problem_at(manifold, segment.turned_at)
        if segment.explicit:
            tableau = dormand_prince()
            stages = new_stages(len(tableau.extended), manifold.m, manifold.n, manifold.network.p)
            found = int(explicit_outputs(
                segment.t, segment.W, times, problem, manifold.coordinates.frame, work, tableau, control, points,
                numbers, new_trial(points[0], len(tableau.dense)), stages,
            ))  # fmt: skip
        else:
            found = int(implicit_outputs(
                segment.t, segment.W, segment.dense, times, problem, work, control.projection_tolerance, points,
                numbers, new_trial(points[0], 0),
            ))  # fmt: skip
        if can_turn(manifold):
            numbers[:found, 2] = residuals(manifold, points[:found])
        return found

    def _integrated(self, segment: Segment, t: float) -> tuple[Array, tuple[float, float, float]]:
        """The point at t by integrating again from the knot before, and its numbers."""
        from .integration import Integration

        k = int(np.searchsorted(segment.t, t, side="right")) - 1
        control = self.control._replace(
            t_end=t, keep_dense=False, times=np.empty(0), gradient_tolerance=0.0, rounding=0.0
        )
        sharpness, gradient_norm, residual = segment.numbers[k]
        run = Integration(
            self.manifold, segment.W[k], (sharpness, gradient_norm, residual), float(segment.t[k]), control, "auto",
            np.zeros(self.manifold.shape), self.manifold.workspace(),
        )  # fmt: skip
        run.integrate()
        return run.state.W, self.numbers_at(run.state.W)

    def numbers_at(self, W: Array) -> tuple[float, float, float]:
        """Sharpness, gradient norm and residual at a point."""
        work, gradient = self.manifold.workspace(), np.empty_like(W)
        problem = problem_at(self.manifold, W if can_turn(self.manifold) else None)
        F, _ = geometry.gradient(W, problem, work, gradient)
        return F, float(np.linalg.norm(gradient)), float(residuals(self.manifold, W[None])[0])
