"""What is recorded along a run, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compiled import geometry
from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..validation import Array, one_of, positive_integer
from .walk import Walker

_MOST_BYTES = 2**31  # of a record
_MOST_STEPS = 10**7


def loss(manifold: ZeroLossManifold, W: Array) -> float:
    """Sum of (f_i - y_i)^2 at reduced coordinates W."""
    work = manifold.workspace()
    geometry.output(W, manifold.problem, work)
    return float(np.sum((work.f - manifold.y) ** 2))


def _sharpness(manifold: ZeroLossManifold, W: Array) -> float:
    return float(geometry.sharpness(W, manifold.problem, manifold.workspace()))


def _gradient_norm(manifold: ZeroLossManifold, W: Array) -> float:
    gradient = np.empty_like(W)
    geometry.gradient(W, manifold.distinct.problem, manifold.distinct.workspace(), gradient)
    return float(np.linalg.norm(gradient))


def _singular_values(manifold: ZeroLossManifold, W: Array) -> Array:
    return np.linalg.svd(W[:, : manifold.coordinates.rank] @ manifold.problem.R.T, compute_uv=False)


_QUANTITIES: dict[str, Callable[[ZeroLossManifold, Array], Any]] = {
    "loss": loss,
    "sharpness": _sharpness,
    "gradient_norm": _gradient_norm,
    "singular_values": _singular_values,
}
QUANTITIES = ("theta", *_QUANTITIES)


def log_spaced_steps(n_steps: int, count: int = 100) -> NDArray[np.int64]:
    """At most `count` step numbers from 1 to n_steps, both included, in about equal ratios: for `record_at`.

    Raises `InputError` where a number is no whole number >= 1.

    >>> log_spaced_steps(1000, 7).tolist()
    [1, 3, 10, 32, 100, 316, 1000]
    """
    last, number = positive_integer("n_steps", n_steps), positive_integer("count", count)
    steps = np.unique(np.rint(np.geomspace(1, last, number)).astype(np.int64))
    steps[-1] = last
    return steps


class Recorder:
    """The recorded steps and what was recorded at them: memory is known, and bounded, before the run starts."""

    def __init__(self, names: tuple[str, ...], at: NDArray[np.int64], manifold: ZeroLossManifold, n_runs: int) -> None:
        self.names, self.at = names, at
        self.steps: list[int] = []
        self._manifold, self._n_runs = manifold, n_runs
        self._rows: dict[str, list[Array]] = {name: [] for name in names}
        self._check_memory()

    def _check_memory(self) -> None:
        size = 8 * self.at.size * self._n_runs * sum(int(np.prod(self._shape(name))) for name in self.names)
        if size > _MOST_BYTES:
            raise InputError(
                f"The record would take {size / 2**30:.1f} GiB ({self.at.size} steps, runs: {self._n_runs}); at "
                f"most {_MOST_BYTES / 2**30:.0f} GiB are kept. Record fewer steps (log_spaced_steps), or leave "
                "'theta' out of record."
            )

    def _shape(self, name: str) -> tuple[int, ...]:
        shapes = {"theta": self._manifold.shape, "singular_values": (min(self._manifold.m, self._manifold.n),)}
        return shapes.get(name, ())

    def next_after(self, taken: int) -> int | None:
        """The next step to record."""
        k = int(np.searchsorted(self.at, taken, side="right"))
        return int(self.at[k]) if k < self.at.size else None

    def record(self, taken: int, walkers: list[Walker]) -> None:
        """Record where all runs are, if this step is to be recorded."""
        k = int(np.searchsorted(self.at, taken))
        if k == self.at.size or self.at[k] != taken or taken in self.steps[-1:]:
            return
        rows = {name: np.array([self._value(name, walker) for walker in walkers]) for name in self.names}
        for name, row in rows.items():
            self._rows[name].append(row)
        self.steps.append(taken)

    def _value(self, name: str, walker: Walker) -> Any:
        if name == "theta":
            return walker.theta()
        return _QUANTITIES[name](self._manifold, walker.reduced())

    def arrays(self) -> dict[str, Array]:
        """What was recorded, (k, n_runs, ...) each; theta is there in any case, without rows if it is not recorded."""
        found = {name: self._stacked(name) for name in self.names}
        return {"theta": np.empty((0, self._n_runs, *self._manifold.shape)), **found}

    def _stacked(self, name: str) -> Array:
        rows = self._rows[name]
        return np.stack(rows) if rows else np.empty((0, self._n_runs, *self._shape(name)))

    def restore(self, steps: ArrayLike, arrays: dict[str, Array]) -> None:
        """Continue a record."""
        self.steps = [int(step) for step in np.asarray(steps)]
        self._rows = {name: list(arrays[name]) for name in self.names}


def steps_to_record(every: Any, at: Any, n_steps: int) -> NDArray[np.int64]:
    """The recorded steps: multiples of `every` and the last, or those of `at`."""
    if every is not None and at is not None:
        raise InputError("Give record_every or record_at, not both.")
    if every is not None:
        interval = positive_integer("record_every", every)
        if n_steps // interval >= _MOST_STEPS:
            raise InputError(
                f"record_every={every} would record {n_steps // interval} of {n_steps} steps; at most {_MOST_STEPS} "
                "are kept. Record fewer, or use record_at with log_spaced_steps."
            )
        multiples = np.arange(interval, n_steps + 1, interval, dtype=np.int64)
        return multiples if n_steps % interval == 0 else np.append(multiples, n_steps)
    if at is None:
        return np.empty(0, np.int64)
    steps = np.asarray(at)
    if steps.dtype.kind not in "iu" or steps.ndim != 1 or steps.size == 0:
        raise InputError(f"record_at must be a list of step numbers; got {str(at)[:60]}.")
    if steps[0] < 1 or steps[-1] > n_steps or np.any(np.diff(steps.astype(np.int64)) <= 0):
        raise InputError(f"record_at must increase within 1, ..., n_steps = {n_steps}; got {str(at)[:60]}.")
    return steps.astype(np.int64)


def quantities(record: Any) -> tuple[str, ...]:
    """Check the names of what is to be recorded."""
    names = (record,) if isinstance(record, str) else record
    if not isinstance(names, Sequence) or not names:
        raise InputError(f"record must name one or more of {', '.join(map(repr, QUANTITIES))}; got {record!r}.")
    return tuple(dict.fromkeys(one_of("record", name, QUANTITIES) for name in names))
