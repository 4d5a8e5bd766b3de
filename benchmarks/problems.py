"""The problems of the flow's benchmark, with reference solutions and their uncertainty."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import manifoldflow as mf
from manifoldflow.compiled import geometry

Array = NDArray[np.float64]
Field = Callable[[float, Array], Array]


@dataclass(frozen=True)
class Problem:
    """A flow to integrate: network, data, span. Small enough to be sent to another process by its fields."""

    name: str
    title: str
    n: int
    d: int
    m: int
    t_end: float
    activation: str = "z**3 + z"
    trained: bool = False
    data: str = "synthetic"
    tolerances: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
    share: float = 0.1  # of the time limit: the peers that matter need far less

    @cached_property
    def manifold(self) -> mf.ZeroLossManifold:
        """The zero-loss manifold."""
        data = mf.datasets.digits(self.n) if self.data == "digits" else mf.datasets.synthetic(self.n, self.d, rng=0)
        weights = "trained" if self.trained else None
        return mf.ZeroLossManifold(
            mf.TwoLayerNetwork(mf.UnitFunction(self.activation), self.m, weights), data.X, data.y
        )

    @cached_property
    def theta(self) -> Array:
        """The starting point, (m, d + p)."""
        return self.manifold.random_point(rng=0)

    @cached_property
    def W(self) -> Array:
        """The starting point in reduced coordinates, (m, r + p): the state that the peers integrate."""
        return self.manifold.coordinates.reduce(self.theta)

    @property
    def times(self) -> Array:
        """Where errors are measured: two times a decade over the last seven decades of the span."""
        times = np.geomspace(1e-7, 1.0, 15) * self.t_end
        times[-1] = self.t_end
        return times

    def parameters(self, W: Array) -> Array:
        """Reduced points (..., m, r + p) as parameters (..., m, d + p)."""
        coordinates = self.manifold.coordinates
        return coordinates.expand(W) + coordinates.orthogonal_part(self.theta)

    def compiled_field(self) -> Field:
        """The toolkit's own compiled gradient as a callback (t, flat state) -> derivative."""
        man, shape = self.manifold, self.W.shape
        work, W, out = man.workspace(), np.empty(shape), np.empty(shape)

        def field(_: float, state: Array) -> Array:
            W.ravel()[:] = state  # some peers hand out read-only arrays
            geometry.gradient(W, man.problem, work, out)
            return -out.ravel()

        return field


PROBLEMS = (
    Problem(
        "digits",
        "50 digits",
        50,
        64,
        20,
        6.6e4,
        data="digits",
        tolerances=(1e-3, 1e-5, 1e-7, 1e-9, 1e-10, 1e-11),
        share=1.0,
    ),
    Problem("gaussian10", "Gaussian, n = 10", 10, 20, 20, 10.0),
    Problem("gaussian20", "Gaussian, n = 20", 20, 40, 20, 10.0),
    Problem("gaussian40", "Gaussian, n = 40", 40, 80, 20, 10.0),
    Problem("sinh", "20 digits, sinh z", 20, 64, 20, 100.0, activation="sinh(z)", data="digits"),
    Problem("trained", "Gaussian, n = 10, trained output weights", 10, 20, 20, 10.0, trained=True),
)
TINY = (
    Problem("tiny", "Gaussian, n = 2", 2, 4, 3, 1.0, tolerances=(1e-4, 1e-8)),
    Problem("tiny_trained", "Gaussian, n = 2, trained", 2, 4, 3, 1.0, trained=True, tolerances=(1e-4, 1e-8)),
)


@dataclass(frozen=True)
class Reference:
    """Parameters at the problem's times (k, m, d + p), how they were found and checked, and their uncertainty."""

    theta: Array
    uncertainty: float
    method: str
    check: str


def reference(problem: Problem, limit: float) -> Reference:
    """SciPy's DOP853 at rtol 1e-13 where it reaches the end in `limit` seconds; otherwise our implicit method at 1e-11.

    The uncertainty is the largest difference between the two at the times that DOP853 reached; after them, that
    between the implicit method at rtol 1e-11 and 1e-10.
    """
    ours, coarser = (_implicit(problem, rtol) for rtol in (1e-11, 1e-10))
    independent = problem.parameters(_dop853(problem, limit))
    reached = len(independent)
    differences = [np.abs(independent - ours[:reached]), np.abs(ours - coarser)[reached:]]
    whole = reached == len(problem.times)
    names = "SciPy's DOP853 at rtol 1e-13", "our implicit method at rtol 1e-11"
    until = f"{names[0]} up to t = {problem.times[reached - 1] if reached else 0.0:.3g}"
    uncertainty = max(float(part.max(initial=0.0)) for part in differences)
    if whole:
        return Reference(independent, uncertainty, *names)
    return Reference(ours, uncertainty, names[1], until)


def _implicit(problem: Problem, rtol: float) -> Array:
    return mf.sharpness_flow(
        problem.manifold, problem.theta, (0.0, problem.t_end), rtol=rtol, atol=1e-2 * rtol, method="implicit",
        t_eval=problem.times, dense_output=False,
    ).theta  # fmt: skip


def _dop853(problem: Problem, limit: float) -> Array:
    """Reduced points at the first of the problem's times, as many as are reached within the limit."""
    field, end = problem.compiled_field(), time.perf_counter() + limit

    def until_limit(t: float, state: Array) -> Array:
        if time.perf_counter() > end:
            raise TimeoutError
        return field(t, state)

    points, t, state = [], 0.0, problem.W.ravel()
    try:
        for stop in problem.times:
            state = solve_ivp(until_limit, (t, stop), state, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
            t = stop
            points.append(state.reshape(problem.W.shape))
    except TimeoutError:
        pass  # what was reached is the answer
    return np.array(points).reshape(-1, *problem.W.shape)
