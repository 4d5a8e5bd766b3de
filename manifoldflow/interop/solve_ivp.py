"""Solvers for `scipy.integrate.solve_ivp` that stay on a manifold: a step of any SciPy method, then a projection.

The solution of the differential equation lies on M, so a point of M near the method's result is as close to it, up to a
factor, as the result itself: projecting after every step keeps the order (Hairer, Lubich and Wanner 2006, IV.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import BDF, DOP853, LSODA, RK23, RK45, DenseOutput, OdeSolver, Radau

from ..compiled import geometry
from ..errors import InputError, ProjectionError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance

Onto = Callable[[Array], Array]

_NAMED: dict[str, type[OdeSolver]] = {"RK23": RK23, "RK45": RK45, "DOP853": DOP853, "Radau": Radau, "BDF": BDF}


def ode_solver(manifold: ZeroLossManifold | Onto, base: str | type[OdeSolver] = "DOP853") -> type[OdeSolver]:
    """A class to give to `solve_ivp(..., method=...)`: steps of `base`, each followed by a projection onto M.

    Events, dense output, `t_eval`, vectorised right-hand sides and the base's own options work as without the
    projection; every point that SciPy gives out, between steps too, lies on M.

    Args:
        manifold: a `ZeroLossManifold`, whose points solve_ivp sees flattened, (m (d + p),); or, for any other manifold,
            a function that maps a flat vector near M to a point of M near it and leaves points of M where they are.
        base: "RK23", "RK45", "DOP853", "Radau" or "BDF", or a subclass of SciPy's `OdeSolver` that keeps its state in
            `y` and its slope in `f`. A multistep method is told of the projection where it is BDF; LSODA keeps its
            history in compiled code and is refused.

    Raises:
        InputError: an argument outside its domain. `solve_ivp` raises `InputError` where the start is not on M, and
            `ProjectionError` where a step cannot be projected.

    Source: Hairer, Lubich and Wanner (2006), section IV.4.

    >>> from scipy.integrate import solve_ivp
    >>> unit_circle = ode_solver(lambda y: y / np.linalg.norm(y), "RK45")
    >>> found = solve_ivp(lambda t, y: np.array([-y[1], y[0]]), (0.0, 3.0), [1.0, 0.0], method=unit_circle)
    >>> bool(abs(np.linalg.norm(found.y, axis=0) - 1.0).max() < 1e-15)
    True
    """
    onto = _Projection(manifold) if isinstance(manifold, ZeroLossManifold) else manifold
    if not callable(onto):
        raise InputError(f"manifold must be a ZeroLossManifold or a function y -> y; got {type(manifold).__name__}.")
    return type(f"Projected{_base(base).__name__}", (_OnManifold, _base(base)), {"_onto": staticmethod(onto)})


def flow_field(manifold: ZeroLossManifold) -> Callable[[float, Array], Array]:
    """The right-hand side -grad F of the sharpness flow for `solve_ivp`, of flat vectors, also of several at once.

    fun(t, y) takes y (m (d + p),) or, vectorised, (m (d + p), k), and gives the same shape. It is defined near M too,
    where the stages of a step lie: there the gradient of F along the level set of f.

    Raises `InputError` where `manifold` is not a `ZeroLossManifold`.

    >>> import manifoldflow as mf
    >>> from scipy.integrate import solve_ivp
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> start = man.random_point(rng=0).ravel()
    >>> found = solve_ivp(flow_field(man), (0.0, 0.1), start, method=ode_solver(man), vectorized=True, rtol=1e-8)
    >>> bool(abs(man.residual(found.y[:, -1].reshape(man.shape))).max() < 1e-11)
    True
    """
    return _FlowField(instance("manifold", manifold, ZeroLossManifold))


def _base(base: str | type[OdeSolver]) -> type[OdeSolver]:
    found = _NAMED.get(base) if isinstance(base, str) else base
    if not (isinstance(found, type) and issubclass(found, OdeSolver)) or issubclass(found, LSODA):
        raise InputError(
            f"base must be one of {', '.join(map(repr, _NAMED))} or a subclass of scipy.integrate.OdeSolver other than "
            f"LSODA, whose history cannot be projected; got {base!r}."
        )
    return found


class _OnManifold(OdeSolver):
    """What is put before a SciPy method: its step, and then its state moved onto M."""

    _onto: Onto
    y: Array

    def __init__(self, fun: Any, t0: float, y0: Any, t_bound: float, *arguments: Any, **options: Any) -> None:
        _check_start(self._onto, np.asarray(y0))
        super().__init__(fun, t0, y0, t_bound, *arguments, **options)

    def _step_impl(self) -> tuple[bool, str | None]:
        success, message = super()._step_impl()
        if success:
            self._move(self._onto(self.y) - self.y)
        return success, message

    def _move(self, shift: Array) -> None:
        self.y = self.y + shift
        if isinstance(self, BDF):
            # Backward differences of every order contain the newest point once.
            self.D[: self.order + 3] += shift
        else:
            self.f = self.fun(self.t, self.y)

    def _dense_output_impl(self) -> DenseOutput:
        return _Projected(super()._dense_output_impl(), self._onto)


class _Projected(DenseOutput):
    """Dense output whose points are moved onto M."""

    def __init__(self, inner: DenseOutput, onto: Onto) -> None:
        super().__init__(inner.t_old, inner.t)
        self._inner, self._onto = inner, onto

    def _call_impl(self, t: Array) -> Array:
        y = self._inner(t)
        return self._onto(y) if y.ndim == 1 else np.stack([self._onto(column) for column in y.T], axis=1)


def _check_start(onto: Onto, start: Array) -> None:
    moved = onto(start)
    if np.shape(moved) != start.shape:
        raise InputError(f"The projection must keep the shape {start.shape}; it gave {np.shape(moved)}.")
    distance = float(np.linalg.norm(moved - start))
    if not distance <= 1e-6 * (1.0 + float(np.linalg.norm(start))):
        raise InputError(
            f"The start is not on the manifold: projecting it moves it by {distance:.2e}. Project it before."
        )


@dataclass(frozen=True, eq=False)
class _Projection:
    """Newton's projection onto a zero-loss manifold, of flat vectors."""

    manifold: ZeroLossManifold

    @reproducible
    def __call__(self, y: Array) -> Array:
        manifold = self.manifold
        theta = _unflattened(manifold, y)
        before = manifold.coordinates.reduce(theta)
        after = before.copy()
        failure = manifold.newton(after)
        if failure is not None:
            raise ProjectionError(failure)
        return (theta + manifold.coordinates.expand(after - before)).ravel()


@dataclass(frozen=True, eq=False)
class _FlowField:
    """-grad F of flat vectors, near M too."""

    manifold: ZeroLossManifold

    @reproducible
    def __call__(self, t: float, y: Array) -> Array:
        columns = np.reshape(np.asarray(y, dtype=np.float64), (np.shape(y)[0], -1)).T
        return np.stack([self._field(column) for column in columns], axis=-1).reshape(np.shape(y))

    def _field(self, y: Array) -> Array:
        manifold = self.manifold.distinct
        W = manifold.coordinates.reduce(_unflattened(manifold, y))
        gradient = np.empty_like(W)
        _, info = geometry.gradient(W, manifold.problem, manifold.workspace(), gradient)
        if info != 0:
            gradient[:] = np.nan  # SciPy's methods try a shorter step
        return -manifold.coordinates.expand(gradient).ravel()


def _unflattened(manifold: ZeroLossManifold, y: Array) -> Array:
    if np.shape(y) != (manifold.shape[0] * manifold.shape[1],):
        raise InputError(f"y must be a flattened point of shape {manifold.shape}; got {np.shape(y)}.")
    return np.ascontiguousarray(y).reshape(manifold.shape)
