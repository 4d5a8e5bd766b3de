"""The flattest point of the manifold: by the scalar equations of S13 where they apply, else by trust regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from .codegen import Kernel
from .compiled.equations import flattest_preactivations
from .errors import InputError, ProjectionError
from .interpolation import GAP, LeastNorm, is_diagonal, least_norm, rounding_of_labels
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .trust_region import Minimisation, evaluate, lagrangian_gradient, minimise
from .validation import Array, generator, instance, positive_integer

N_STARTS = 8
SAME = 1e-7  # minima whose sharpness differs by less than this, relatively, count as one
_GRID = np.concatenate([-np.logspace(8, -6, 4001), [0.0], np.logspace(-6, 8, 4001)])


@reproducible
def flattest_point(
    manifold: ZeroLossManifold,
    theta0: ArrayLike | None = None,
    *,
    n_starts: int | None = None,
    rng: int | np.random.Generator = 0,
    max_iterations: int = 1000,
) -> OptimizeResult:
    """The point of M where the sharpness F is smallest.

    With phi' > 0, phi'' increasing and independent samples F is strictly convex in the outputs of the units (S13), so
    the minimum is unique up to directions orthogonal to the data and solves one monotone equation a sample,
    sum_j a_j phi((phi'')^{-1}(k_i / a_j)) = y_i. It is then global, and `result.is_global` says so, with `evidence`
    "grid": A1 was seen to hold wherever |phi'| is small enough for an equally flat point, on a grid over |z| <= 1e8,
    which misses a dip that is narrower than its spacing. `manifoldflow.certificates.enclose_flattest_point` proves it
    or says why not; it takes 7 to 140 ms, and this 0.2 to 0.5 ms.

    For a diagonal linear network F on M is least where a linear program says, min sum_j q_j |w_j| subject to X w = y
    with w = u^2 - v^2 and q_j = 8 sum_i x_ij^2; SciPy's HiGHS solves it, and its dual is `lower_bound`, which proves
    the point global. With fewer than n features in use J J^T is singular there: such a point ends a flow only in the
    limit.

    Otherwise F is minimised by a Riemannian trust-region method with the structured Hessian, from theta0 and from
    random points, and the best local minimum found is returned. With dependent samples S13 still bounds F from below
    (`lower_bound`); a point that reaches the bound is global. Saddles are left along their most negative curvature.

    Args:
        manifold: the zero-loss manifold.
        theta0: the first start, and what the part orthogonal to the data is taken from (None: random starts only, and
            no orthogonal part).
        n_starts: number of starts where the minimum cannot be proved global, theta0 included (None: theta0 alone where
            it is given, else 8).
        rng: seed or generator of the random starts.
        max_iterations: of the trust-region method, for each start; 0 examines the starts themselves.

    Returns:
        SciPy's `OptimizeResult`: x (m, d + p), fun (F), jac (Riemannian gradient), gradient_norm, nit (steps taken),
        success, status, message; is_global, and the `evidence` for it: "grid" as above, "dual" for the dual of the
        linear program, in floating point, None where it is not global; lower_bound of F on M; condition of J J^T at x;
        n_minima, how many local minima of different F were found; smallest_curvature, the smallest eigenvalue of the
        Hessian at x (None where S13 or the linear program make it needless); attained, False where F falls towards a
        value that it takes only at infinity. success: status 0, a minimum: F is at its lower bound, or the gradient is
        rounding and no curvature negative. status: 1 not stationary (or not proved), 2 stationary but not a minimum, 3
        not attained.

    Raises:
        InputError: an argument outside its domain.
        GeometryError: theta0 is not on M, or J J^T is singular there.
        ProjectionError: no starting point was found, or the solution could not be projected onto M.

    Source: S1, S2, S10, S13; HaoChen et al. (2021) for the linear program; Conn, Gould and Toint (2000) for the trust
    region.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    >>> found = flattest_point(man)
    >>> found.is_global, bool(found.gradient_norm < 1e-12)
    (True, True)
    >>> trained = mf.TwoLayerNetwork("z**3 + z", width=4, output_weights="trained")
    >>> found = flattest_point(mf.ZeroLossManifold(trained, data.X, data.y), n_starts=3)
    >>> found.success, found.is_global, bool(found.smallest_curvature > 0)
    (True, False, True)
    """
    manifold = instance("manifold", manifold, ZeroLossManifold).distinct
    theta = None if theta0 is None else manifold.point("theta0", theta0)
    starts = (N_STARTS if theta is None else 1) if n_starts is None else positive_integer("n_starts", n_starts)
    stream, iterations = generator(rng), _iterations(max_iterations)
    linear = least_norm(manifold) if is_diagonal(manifold) else None
    relaxed = _relaxed_minimum(manifold)
    if linear is not None:
        found = _of_program(manifold, linear)
    elif relaxed is not None and manifold.mu > 0.0:
        W, message = _realise(manifold, relaxed.Z), _BY_S13
        found = Found(W, True, message, is_global=True, lower_bound=relaxed.sharpness)
    elif _is_constant(manifold):
        W = manifold.coordinates.reduce(manifold.random_point(stream) if theta is None else theta)
        message = "F is constant on M (a_j phi'' is the same number everywhere, seen on a grid): any point is flattest."
        found = Found(W, True, message, is_global=True)
    else:
        runs = _minimise_from(manifold, theta, starts, stream, iterations)
        found = _best(runs, 0.0 if relaxed is None else relaxed.sharpness)
    return _result(manifold, found, theta)


_BY_S13 = (
    "Global minimum: the scalar equations of S13 have one solution. That A1 holds wherever a point may be as flat was "
    "seen on a grid; certificates.enclose_flattest_point proves it or says why not."
)


@dataclass(frozen=True, eq=False)
class Found:
    """A point in reduced coordinates and what is known about it."""

    W: Array
    success: bool
    message: str
    status: int = 0
    is_global: bool = False
    lower_bound: float = 0.0
    smallest_curvature: float | None = None
    attained: bool = True
    n_minima: int = 1
    nit: int = 0
    multipliers: Array | None = None


def _iterations(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise InputError(f"max_iterations must be a whole number >= 0; got {value!r}.")
    return int(value)


def _result(manifold: ZeroLossManifold, found: Found, theta: Array | None) -> OptimizeResult:
    F, gradient = _values(manifold, found)
    x = manifold.coordinates.expand(found.W)
    if theta is not None:
        x += manifold.coordinates.orthogonal_part(theta)
    return OptimizeResult(
        x=x, fun=F, jac=manifold.coordinates.expand(gradient), gradient_norm=float(np.linalg.norm(gradient)),
        nit=found.nit, success=found.success, status=found.status, message=found.message, is_global=found.is_global,
        lower_bound=found.lower_bound, n_minima=found.n_minima, smallest_curvature=found.smallest_curvature,
        attained=found.attained, condition=manifold.condition(x), evidence=_evidence(found),
    )  # fmt: skip


def _evidence(found: Found) -> str | None:
    """What `is_global` rests on."""
    if not found.is_global:
        return None
    return "grid" if found.multipliers is None else "dual"


def _values(manifold: ZeroLossManifold, found: Found) -> tuple[float, Array]:
    """F and its Riemannian gradient; with the multipliers that are known, where J J^T may be singular."""
    if found.multipliers is not None:
        return lagrangian_gradient(manifold, found.W, found.multipliers)
    point = evaluate(manifold, found.W)
    if point is None:
        raise ProjectionError("The flattest point was found, but J J^T is singular there. Remove dependent samples.")
    return point.F, point.gradient


# Diagonal linear networks: a linear program.


def _of_program(manifold: ZeroLossManifold, linear: LeastNorm) -> Found:
    """What the linear program says, and whether its dual proves it."""
    F = lagrangian_gradient(manifold, linear.W, linear.lam)[0]
    gap = F - linear.lower_bound
    # Either sign: below the bound F can only be where f = y is missed, by less than a point of M is allowed to.
    allowed = GAP * F + min(rounding_of_labels(manifold, linear.lam), SAME * F)
    proved = abs(gap) <= allowed and manifold.is_on(linear.W)
    text = f"the linear program's dual bounds F from below by {linear.lower_bound:.10g}, {gap:.1e} less."
    message = f"Global minimum: {text}" if proved else f"Not proved: {text} The data may be badly scaled."
    return Found(
        linear.W, proved, message, 0 if proved else 1, proved, linear.lower_bound, multipliers=linear.lam
    )


# S13: one monotone equation a sample.


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The minimum of F over all pre-activations Z (m, n) with f = y, whether or not the data can realise them."""

    Z: Array
    sharpness: float


def _relaxed_minimum(manifold: ZeroLossManifold) -> Relaxed | None:
    """The relaxed minimum by S13, or None where its hypotheses do not hold around it."""
    if manifold.network.unit.phi is None:
        return None
    Z = _solve_equations(manifold)
    if Z is None:
        return None
    weight = manifold.a**2 * manifold.problem.s
    sharpness = 2.0 * float(np.sum(weight * _table(manifold.kernel, Z)[1] ** 2))
    # A point that is as flat has |phi'| at most this at every unit and sample.
    bound = float(np.sqrt(sharpness / (2.0 * weight.min()))) * (1.0 + 1e-12)
    return Relaxed(Z, sharpness) if _convex_below(manifold.kernel, bound, Z) else None


def _solve_equations(manifold: ZeroLossManifold) -> Array | None:
    """Pre-activations (m, n) with a_j phi''(z_ji) equal over j and f = y; None where Newton's method finds none."""
    a, problem = manifold.a, manifold.problem
    equal = bool((a == a[0]).all())
    start = _start(manifold.kernel, equal)
    if start is None:
        return None
    if equal:
        # All units agree: one of m times the weight.
        a = a[:1] * manifold.m
    Z = np.full(a.shape, start)
    unsolved = flattest_preactivations(problem.unit, problem.s, np.ascontiguousarray(a), manifold.y, Z, 200)
    if unsolved or not np.isfinite(Z).all():
        return None
    return np.repeat(Z, manifold.m, axis=0) if equal else Z


@lru_cache(maxsize=32)
def _start(kernel: Kernel, equal: bool) -> float | None:
    """Where all units may start: phi'' smallest; for equal weights z near 0 will do. None where A1 holds nowhere."""
    grid = np.linspace(-10.0, 10.0, 2001)
    table = kernel.table(grid)
    good = np.isfinite(table).all(axis=0) & (table[1] > 0) & (table[3] > 0)
    if not good.any():
        return None
    return float(grid[int(np.argmin(np.where(good, np.abs(grid if equal else table[2]), np.inf)))])


@lru_cache(maxsize=8)
def _far_table(kernel: Kernel) -> tuple[Array, Array]:
    """Phi' and phi''' on the grid of |z| <= 1e8."""
    table = kernel.table(_GRID)
    return table[1], table[3]


def _table(kernel: Kernel, Z: Array) -> Array:
    return kernel.table(Z.ravel()).reshape(4, *Z.shape)


def _convex_below(kernel: Kernel, bound: float, Z: Array) -> bool:
    """True where {|phi'| <= bound} is one bounded interval around Z on which phi', phi''' > 0; seen on grids."""
    slopes, thirds = _far_table(kernel)
    inside = np.flatnonzero(np.abs(slopes) <= bound)
    if inside.size == 0 or inside[0] == 0 or inside[-1] == _GRID.size - 1 or not _adjacent(inside):
        return False
    low, high = _GRID[inside[0] - 1], _GRID[inside[-1] + 1]
    if not (low <= Z.min() and Z.max() <= high and _is_positive(slopes[inside]) and _increases(thirds[inside])):
        return False
    grid = np.linspace(low, high, 2001)
    table = kernel.table(grid)
    inside = np.flatnonzero(np.abs(table[1]) <= bound)
    if inside.size == 0 or not _adjacent(inside):
        return False
    return all(
        _is_throughout(kernel, row, grid[inside], table[row, inside], holds)
        for row, holds in ((1, _is_positive), (3, _increases))
    )


def _adjacent(inside: NDArray[np.intp]) -> bool:
    return bool(inside[-1] - inside[0] == inside.size - 1)


def _is_positive(slopes: Array) -> bool:
    return bool(np.all(slopes > 0.0))


def _increases(thirds: Array) -> bool:
    """Whether phi'' increases, by its derivative on a grid: positive, or zero at points that stand alone."""
    return bool(np.all(thirds >= 0.0) and np.all(thirds[1:] + thirds[:-1] > 0.0))


def _is_throughout(kernel: Kernel, row: int, grid: Array, values: Array, holds: Callable[[Array], bool]) -> bool:
    """True where what a derivative of phi is to be holds on the grid, and between its points next to the smallest."""
    for _ in range(2):
        if not holds(values):
            return False
        k = int(np.argmin(values))
        grid = np.linspace(grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 1)], 65)
        values = kernel.table(grid)[row]
    return holds(values)


def _realise(manifold: ZeroLossManifold, Z: Array) -> Array:
    W = manifold.coordinates.weights_from_preactivations(Z)
    failure = manifold.newton(W)
    if failure is not None:
        values = manifold.coordinates.singular_values
        raise ProjectionError(
            f"The pre-activations of the flattest point are known, but no parameters that have them to rounding: the "
            f"rows of X are nearly dependent, with condition {values[0] / values[-1]:.1e}. Remove such samples. "
            f"({failure})"
        )
    return W


def _is_constant(manifold: ZeroLossManifold) -> bool:
    """True where F is constant on M: a_j phi'' is one number for all units and pre-activations, as for z^2 (S11)."""
    if manifold.network.unit.phi is None:
        return False
    slopes, thirds = _far_table(manifold.kernel)
    if np.any(thirds != 0.0):
        return False
    # phi''' = 0 on the grid: phi' is one straight line, or has jumps or corners as ReLU's, where F changes.
    second = manifold.kernel.table(_GRID)[2]
    line = slopes[_GRID.size // 2] + second[0] * _GRID
    straight = np.all(second == second[0]) and np.allclose(slopes, line, rtol=1e-12, atol=1e-12)
    return bool(straight and (second[0] == 0.0 or (manifold.a == manifold.a[0]).all()))


# Trust regions.


def _minimise_from(
    manifold: ZeroLossManifold, theta: Array | None, n_starts: int, stream: np.random.Generator, iterations: int
) -> list[Minimisation]:
    """Minimise from theta, if there is one, and from random points; those that cannot be found are left out."""
    starts = [] if theta is None else [theta]
    while len(starts) < n_starts:
        try:
            starts.append(manifold.random_point(stream))
        except ProjectionError:
            if not starts:
                raise
            break
    return [minimise(manifold, manifold.coordinates.reduce(start), iterations) for start in starts]


def _best(runs: list[Minimisation], lower_bound: float) -> Found:
    """The best run: a minimum if there is one; the message counts the others."""
    ended = [run for run in runs if _STATUS[run.verdict] in (0, 3)] or runs
    best = min(ended, key=lambda run: run.point.F)
    values = sorted(run.point.F for run in runs if _STATUS[run.verdict] == 0)
    n_minima = 1 + int(np.sum(np.diff(values) > SAME * np.abs(values[1:]))) if values else 0
    is_global = best.point.F - lower_bound <= GAP * best.point.F
    status = 0 if is_global else _STATUS[best.verdict]
    return Found(
        best.point.W, status == 0, _message(best, len(runs), n_minima, is_global), status, is_global, lower_bound,
        best.curvature, best.verdict != "not attained", n_minima, len(best.norms) - 1,
    )  # fmt: skip


_STATUS = {
    "minimum": 0, "isolated": 0, "degenerate": 0, "unfinished": 1, "stalled": 1, "saddle": 2, "not attained": 3,
}  # fmt: skip
_VERDICTS = {
    "minimum": "Minimum: the gradient is rounding and the smallest curvature {curvature:.3g} is positive.",
    "isolated": "M has dimension 0 here: the point is alone in its neighbourhood.",
    "degenerate": "Stationary and degenerate: the smallest curvature {curvature:.3g} is zero to rounding ({flat:.1g}), "
    "so second derivatives do not show a strict minimum.",
    "not attained": "Not attained: the steps do not shrink, F falls towards a value that it takes only at "
    "infinity (gradient norm {norm:.1e}).",
    "saddle": "Stationary, but not a minimum: the smallest curvature {curvature:.3g} is negative. Start elsewhere.",
    "stalled": "No step lowers F beyond rounding, yet the gradient norm is {norm:.1e}: J J^T or the curvature of F is "
    "nearly singular here.",
    "unfinished": "Not stationary yet: the gradient norm is {norm:.1e}. Raise max_iterations.",
}


def _message(run: Minimisation, n_starts: int, n_minima: int, is_global: bool) -> str:
    text = _VERDICTS[run.verdict].format(curvature=run.curvature, flat=run.flat, norm=run.point.norm)
    if is_global:
        return f"{text} Global: F is at its lower bound by S13, whose A1 was seen on a grid, to 1e-10 of itself."
    if n_starts == 1:
        return f"{text} A local statement, from one start: other stationary points may be flatter."
    count = "1 local minimum" if n_minima == 1 else f"{n_minima} local minima of different sharpness"
    return f"{text} A local statement: {n_starts} starts found {count}; of all ends this has the smallest F."
