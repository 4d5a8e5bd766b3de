"""One integration of the sharpness flow: the compiled loop in chunks, events between them, the record of all steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq

from .compiled import geometry, stepping
from .compiled.explicit import explicit_advance
from .compiled.implicit import implicit_advance
from .manifold import ZeroLossManifold
from .solution import REASONS, FlowSolution, Path
from .tableaus import dormand_prince, rodas5p
from .validation import Array

Event = Callable[[float, Array], float]


class Integration:
    """One integration: the compiled loop advances in chunks of a fixed record; between chunks events are looked for."""

    def __init__(
        self,
        manifold: ZeroLossManifold,
        W: Array,
        t0: float,
        control: Any,
        method: str,
        events: list[Event],
        orthogonal: Array,
    ) -> None:
        self.manifold, self.control, self.method = manifold, control, method
        self.events, self.orthogonal = events, orthogonal
        self.work = manifold.workspace()
        scalars = np.zeros(6)
        scalars[stepping.T] = t0
        self.state = stepping.State(scalars, W.copy(), np.empty_like(W), np.zeros(5, np.int64))
        self.chunks: list[tuple[Array, Array, Array, Array]] = []
        self.t_events: list[list[float]] = [[] for _ in events]
        self.reason = "running"
        self._advance = self._bind(method)
        self._record_start(W)

    def _bind(self, method: str) -> Callable[[Any], int]:
        problem = self.manifold.problem
        if method == "explicit":
            explicit = dormand_prince()
            return lambda record: explicit_advance(
                self.state, problem, self.work, record, self.control,
                explicit.A, explicit.b, explicit.error, explicit.dense, explicit.order,
            )  # fmt: skip
        rosenbrock = rodas5p()
        return lambda record: implicit_advance(
            self.state, problem, self.work, record, self.control,
            rosenbrock.gamma, rosenbrock.A, rosenbrock.C, rosenbrock.dense, rosenbrock.order,
        )  # fmt: skip

    def _record_start(self, W: Array) -> None:
        numbers = np.array([self._measure(W)])
        self.chunks.append((self.state.scalars[:1].copy(), W[None].copy(), numbers, np.empty((0, 4, *W.shape))))

    def integrate(self) -> None:
        """Advance to a reason to stop."""
        try:
            while self.reason == "running":
                self._next_chunk()
        except KeyboardInterrupt:
            self.reason = "interrupted"

    def _next_chunk(self) -> None:
        record = self._new_record()
        self.state.counters[stepping.RECORDED] = 0
        code = int(self._advance(record))
        k = int(self.state.counters[stepping.RECORDED])
        self.chunks.append((record.t[:k], record.W[:k], record.numbers[:k], record.dense[:k]))
        name = REASONS[code][0]
        self.reason = "running" if name == "buffer_full" else name
        if self.events and k:
            self._locate_events(k)

    def _new_record(self) -> Any:
        # About 16 MB a record, so that Ctrl-C and events are looked at often and memory grows with the steps taken.
        shape = self.state.W.shape
        k = int(np.clip(400_000 // max(self.state.W.size, 1), 4, 256))
        dense = np.empty((k if self.control.keep_dense else 0, 4, *shape))
        return stepping.Record(np.empty(k), np.empty((k, *shape)), np.empty((k, 3)), dense)

    def _locate_events(self, k: int) -> None:
        """Find sign changes of the event functions over the last chunk; stop at a terminal one."""
        path = self.path()
        first = len(path.t) - 1 - k
        stop = np.inf
        for number, event in enumerate(self.events):
            for root in _sign_changes(event, path, first, self):
                if root <= stop:
                    self.t_events[number].append(root)
                if getattr(event, "terminal", False):
                    stop = min(stop, root)
                    break
        if np.isfinite(stop):
            self.reason = "event"
            self._truncate(path, stop)

    def _truncate(self, path: Path, stop: float) -> None:
        """Keep the steps before the event, and the event's own point as the last."""
        keep = int(np.searchsorted(path.t, stop, side="left"))
        numbers = np.concatenate([c[2] for c in self.chunks])
        W = path.on_manifold(stop)
        last = np.array([self._measure(W)])
        x = (stop - path.t[keep - 1]) / (path.t[keep] - path.t[keep - 1])
        scaled = path.dense[keep - 1 : keep] * (x ** np.arange(1, 5))[None, :, None, None]
        self.chunks = [
            (path.t[:keep], path.W[:keep], numbers[:keep], path.dense[: keep - 1]),
            (np.array([stop]), W[None], last, scaled),
        ]
        self.t_events = [[t for t in times if t <= stop] for times in self.t_events]

    def lift(self, W: Array) -> Array:
        """Full parameters of a reduced point."""
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def path(self) -> Path:
        """Dense output of everything so far."""
        t, W, _, dense = (np.concatenate(parts) for parts in zip(*self.chunks, strict=True))
        return Path(t, W, dense, self.manifold)

    def solution(self, times: Array | None) -> FlowSolution:
        """The immutable result, at the steps or at the times asked for."""
        numbers = np.concatenate([chunk[2] for chunk in self.chunks])
        path = self.path()
        t, W = path.t, path.W
        if times is not None:
            t = times[times <= path.t[-1]]
            W = np.stack([path.on_manifold(x) for x in t]) if t.size else path.W[:0]
            numbers = np.array([self._measure(w) for w in W]).reshape(-1, 3)
        t_events = tuple(np.array(times) for times in self.t_events)
        for array in (t, W, numbers, *t_events):
            array.flags.writeable = False
        return FlowSolution(
            t=t, W=W, sharpness=numbers[:, 0], gradient_norm=numbers[:, 1], residual=numbers[:, 2],
            status=self.reason, message=dict(REASONS)[self.reason], counters=self._counters(),
            t_events=t_events, manifold=self.manifold,
            orthogonal=self.orthogonal, path=path if self.control.keep_dense else None,
        )  # fmt: skip

    def _measure(self, W: Array) -> tuple[float, float, float]:
        """Sharpness, gradient norm and residual at a point."""
        F, _ = geometry.gradient(W, self.manifold.problem, self.work, self.state.grad)
        return F, float(np.linalg.norm(self.state.grad)), float(np.abs(self.work.f - self.manifold.y).max())

    def _counters(self) -> tuple[tuple[str, Any], ...]:
        names = ("accepted", "rejected", "field_evaluations", "factorisations")
        counters = dict(zip(names, map(int, self.state.counters), strict=False))
        return (("method", self.method), *counters.items(), ("last_step", float(self.state.scalars[stepping.H])))


def _sign_changes(event: Event, path: Path, first: int, run: Integration) -> list[float]:
    def value(t: float) -> float:
        return float(event(t, run.lift(path.on_manifold(t))))

    roots = []
    before = value(path.t[first])
    for k in range(first, len(path.t) - 1):
        after = value(path.t[k + 1])
        if before * after < 0.0 or (after == 0.0 and before != 0.0):
            roots.append(brentq(value, path.t[k], path.t[k + 1], xtol=1e-14, rtol=1e-13) if after else path.t[k + 1])
        before = after
    return roots
