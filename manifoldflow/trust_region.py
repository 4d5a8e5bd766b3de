"""Riemannian trust-region minimisation of the sharpness on the zero-loss manifold.

Steihaug's truncated conjugate gradients on the tangent space, preconditioned with the units' blocks: |e| in their
eigenbases, and exact with respect to the n constraints. Where the blocks are positive the first iteration is Newton's
step, whatever the condition of the data. Steps follow the manifold's second-order retraction, so convergence to a
minimum with positive curvature is quadratic. Source: Conn, Gould and Toint (2000), section 7.5.1; Absil, Baker and
Gallivan (2007) for manifolds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .compiled import geometry
from .errors import GeometryError
from .reproducible import reproducible
from .spectrum import DiagonalHessian, Shifted, diagonalise, smallest
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

EPS = np.finfo(float).eps
# A gradient is rounding below this times the normal part of the Euclidean one, from which it is what is left. After the
# second projection near stationarity flows to t = 1e7 end at 0.2 to 1.5 eps, for condition numbers of 10 to 4e6.
ROUNDING = 20.0 * EPS
# Curvature counts as zero below this times the largest of the terms that it is the sum of.
FLAT = 1e-11
# A point this many times farther out than the start has run away.
FAR = 1e5
# Curvature below this share of the largest is not believed after a stall.
_SMALL = 1e-6
_ESCAPES, _STALLS = 20, 5
# Newton's steps shrink by 1 - 1 / (k - 1) next to a minimum of order k, and not where F falls as an exponential: the
# longest of three over that of the three before, among which some are short where they were cut off.
_STEADY = 0.85


@dataclass(frozen=True, eq=False)
class Point:
    """A point on M with F, the gradient, and its workspace; `floor` is the gradient norm that rounding leaves."""

    W: Array
    F: float
    gradient: Array
    floor: float
    work: geometry.Workspace

    @property
    def norm(self) -> float:
        """Gradient norm."""
        return float(np.linalg.norm(self.gradient))


@dataclass(frozen=True, eq=False)
class Minimisation:
    """How a minimisation ended.

    `stationary`: the gradient is rounding; `stalled`: no step lowers F beyond rounding; `curvature`: smallest
    eigenvalue of the Hessian, zero to rounding within +-`flat`, infinite where M has dimension 0; `far`: the last steps
    did not shrink, or the point is far from the start; `gone`: so far that the run ended; `norms`: gradient norms on
    the way.
    """

    point: Point
    stationary: bool
    stalled: bool
    far: bool
    gone: bool
    curvature: float
    flat: float
    norms: tuple[float, ...] = field(repr=False)

    @property
    def verdict(self) -> str:
        """Tell a minimum, an isolated point of M, a degenerate one, a saddle, and ends without a minimum apart.

        "minimum", "isolated", "degenerate" (zero curvature), "saddle", "not attained" (F falls towards a value that it
        takes only at infinity), "stalled", "unfinished".
        """
        runs_away = self.far and abs(self.curvature) <= self.flat
        if not self.stationary:
            return "not attained" if runs_away or self.gone else "stalled" if self.stalled else "unfinished"
        if self.curvature < -self.flat:
            return "saddle"
        if self.curvature > self.flat:
            return "isolated" if np.isinf(self.curvature) else "minimum"
        return "not attained" if runs_away else "degenerate"


def evaluate(manifold: ZeroLossManifold, W: Array) -> Point | None:
    """The point at W, on M; None where F is not finite or J J^T is singular."""
    work, gradient = manifold.workspace(), np.empty_like(W)
    F, info = geometry.second_derivatives(W, manifold.problem, work, gradient)
    if info != 0 or not np.isfinite(F) or not np.isfinite(gradient).all() or not np.isfinite(work.E).all():
        return None
    return Point(W, float(F), gradient, ROUNDING * float(work.normal[0]), work)


def lagrangian_gradient(manifold: ZeroLossManifold, W: Array, lam: Array) -> tuple[float, Array]:
    """F and grad F - J^T lam for given multipliers; where J J^T is singular too."""
    work, gradient = manifold.workspace(), np.empty_like(W)
    F = geometry.sharpness(W, manifold.problem, work)
    geometry.subtract_normal(work.alpha, work.g, lam)
    geometry.assemble(work.alpha, manifold.problem.R, gradient)
    return float(F), gradient


@reproducible
def minimise(manifold: ZeroLossManifold, W: Array, max_iterations: int) -> Minimisation:
    """Minimise F from W, on M, leaving saddles along the direction of smallest curvature."""
    point = evaluate(manifold, W)
    if point is None:
        raise GeometryError(
            "The sharpness cannot be minimised from here: J J^T is singular, or F not finite. Remove samples that "
            "repeat others, or start elsewhere."
        )
    run = _Run(manifold, point)
    for _ in range(max_iterations):
        if run.stationary:
            if not run.leave_saddle():
                break
        elif run.hopeless:
            break
        else:
            run.step()
    return run.result()


class _Run:
    """State of a minimisation: the point, its Hessian, the trust radius."""

    def __init__(self, manifold: ZeroLossManifold, point: Point) -> None:
        self.manifold, self.point = manifold, point
        self.norms, self.steps, self.escapes, self.stalls = [point.norm], [0.0], 0, 0
        self.radius: float | None = None
        self.allowed = FAR * (1.0 + float(np.linalg.norm(point.W)))
        self._hessian: DiagonalHessian | None = None

    @property
    def hessian(self) -> DiagonalHessian:
        """The Hessian at the point, made when first needed."""
        if self._hessian is None:
            self._hessian = diagonalise(self.manifold.problem, self.point.work, keep_bases=True)
        return self._hessian

    @property
    def stationary(self) -> bool:
        """True where the gradient is rounding: at its floor, or close to it and no longer falling."""
        return self.point.norm <= self.point.floor * (1e4 if self.stalls else 1.0)

    @property
    def hopeless(self) -> bool:
        """True where F no longer falls beyond rounding, or the point has run away."""
        return self.stalls >= _STALLS or bool(np.linalg.norm(self.point.W) > self.allowed)

    @property
    def flat(self) -> float:
        """What rounding may leave of a curvature that is zero; the multipliers' part of E may cancel the rest.

        And what moves the point by its own length without changing F beyond rounding: all curvatures vanish far out.
        """
        work = self.point.work
        cancelled = float(np.abs(work.lam[0] * work.H).max()) * max(self.manifold.coordinates.largest, 1.0)
        unseen = EPS * self.point.F / max(float(np.sum(self.point.W**2)), np.finfo(float).tiny)
        return FLAT * (self.hessian.scale + cancelled) + unseen

    def step(self) -> None:
        """One trust-region step, taken or not."""
        point, hessian = self.point, self.hessian
        x, on_boundary = self._wanted_step()
        predicted = -float(x @ hessian.coordinates(point.gradient) + 0.5 * x @ (hessian.e * x))
        length = float(np.sqrt(x @ (metric(hessian) * x)))
        trial = self._retract(hessian.vector(x))
        # Both sides lose some roundings of F.
        slack = 100.0 * EPS * abs(point.F)
        ratio = (point.F - trial.F + slack) / (predicted + slack) if trial is not None else -np.inf
        if ratio < 0.25:
            self.radius = 0.25 * length
        elif ratio > 0.75 and on_boundary:
            self.radius = 2.5 * (self.radius or length)
        # Where F no longer tells points apart, the gradient must go on falling.
        halved = trial is not None and trial.norm <= 0.5 * point.norm
        self.stalls = self.stalls + 1 if predicted <= slack and not halved else 0
        if trial is not None and ratio > 0.05 and (self.stalls == 0 or trial.norm < point.norm):
            self._accept(trial)

    def _wanted_step(self) -> tuple[Array, bool]:
        """Minimiser of the model in the trust region; after a stall, a Newton step that takes small curvature for none.

        Next to a set of minima the curvature along it is of the gradient's own size and of either sign; a model that
        believes it points far along the set.
        """
        gradient = self.hessian.coordinates(self.point.gradient)
        if self.stalls and self.radius is not None:
            stiff = DiagonalHessian(metric(self.hessian, _SMALL), self.hessian.C, None)
            return -Shifted(stiff, 0.0).solve(self.hessian.tangent(gradient)), False
        x, self.radius, on_boundary = truncated_cg(self.hessian, gradient, self.radius, self.point.F)
        return x, on_boundary

    def leave_saddle(self) -> bool:
        """Move down along the smallest curvature; False where it is not negative, or no step lowers F."""
        curvature, direction = self.curvature()
        if curvature >= -self.flat or self.escapes >= _ESCAPES:
            return False
        self.escapes += 1
        direction = direction if np.vdot(direction, self.point.gradient) <= 0.0 else -direction
        size = 0.1 * (1.0 + float(np.linalg.norm(self.point.W)))
        for _ in range(30):
            trial = self._retract(size * direction)
            if trial is not None and self.point.F + 0.1 * curvature * size**2 > trial.F:
                self._accept(trial)
                self.radius, self.stalls = None, 0
                return True
            size *= 0.5
        return False

    def curvature(self) -> tuple[float, Array]:
        """Smallest eigenvalue of the Hessian and its unit eigenvector."""
        if self.hessian.dimension == 0:
            return np.inf, np.zeros_like(self.point.W)
        values, x = smallest(self.hessian, 1)
        return float(values[0]), self.hessian.vector(x)

    def result(self) -> Minimisation:
        """How the run ended."""
        size, last = float(np.linalg.norm(self.point.W)), max(self.steps[-3:])
        # A step that is none, after one along directions in which F is flat, is the end of a run and not a way to go.
        steady = self.steps[-1] > 1e-6 * size and last > _STEADY * max(self.steps[-6:-3], default=np.inf)
        far = self.steps[-1] > 1e-3 * (1.0 + size) or steady or size > 1e-3 * self.allowed
        return Minimisation(
            self.point, self.stationary, self.stalls >= _STALLS, far, size > self.allowed, self.curvature()[0],
            self.flat, tuple(self.norms),
        )  # fmt: skip

    def _retract(self, U: Array) -> Point | None:
        W = self.point.W + U
        return evaluate(self.manifold, W) if np.isfinite(W).all() and self.manifold.newton(W) is None else None

    def _accept(self, trial: Point) -> None:
        self.steps.append(float(np.linalg.norm(trial.W - self.point.W)))
        self.point, self._hessian = trial, None
        self.norms.append(trial.norm)


def metric(hessian: DiagonalHessian, share: float = 1e-10) -> Array:
    """The preconditioner's diagonal in the eigenbases: |e|, at least that share of the largest."""
    return np.maximum(np.abs(hessian.e), share * hessian.scale + np.finfo(float).tiny)


def truncated_cg(
    hessian: DiagonalHessian, gradient: Array, radius: float | None, scale: float
) -> tuple[Array, float, bool]:
    """A step that lowers the quadratic model within the trust region |x|_M <= radius, M the preconditioner.

    Returns the step, the radius (chosen here when None: a quarter of the first preconditioned step) and whether the
    step ends on its boundary. Stops at the relative residual min(0.1, |r_0|_{M^-1} / sqrt(scale)), scale of the size of
    F, which keeps convergence quadratic.
    """
    M = metric(hessian)
    preconditioner = Shifted(DiagonalHessian(M, hessian.C, None), 0.0)
    x, r = np.zeros_like(gradient), hessian.tangent(gradient)
    z = preconditioner.solve(r)
    p, rz = -z, float(r @ z)
    radius = 0.25 * float(np.sqrt(rz)) if radius is None else radius
    first = float(np.sqrt(max(rz, 0.0)))
    for k in range(200):
        curvature = float(p @ (hessian.e * p))
        if k and abs(curvature) <= FLAT * hessian.scale * float(p @ p):
            break  # what is left of the gradient is rounding along directions in which F does not change
        alpha = rz / curvature if curvature > 0.0 else np.inf
        if curvature <= 0.0 or _length(M, x + alpha * p) >= radius:
            return x + _to_boundary(M, x, p, radius) * p, radius, True
        x = x + alpha * p
        r = r + alpha * hessian.tangent(hessian.e * p)
        z = preconditioner.solve(r)
        previous, rz = rz, float(r @ z)
        if np.sqrt(max(rz, 0.0)) <= first * min(0.1, first / np.sqrt(scale)):
            break
        p = -z + (rz / previous) * p
    return x, radius, False


def _length(M: Array, x: Array) -> float:
    return float(np.sqrt(x @ (M * x)))


def _to_boundary(M: Array, x: Array, p: Array, radius: float) -> float:
    """The tau >= 0 with |x + tau p|_M = radius."""
    a, b, c = float(p @ (M * p)), float(x @ (M * p)), float(x @ (M * x)) - radius**2
    if a == 0.0:
        return 0.0
    root = np.sqrt(max(b * b - a * c, 0.0))
    return float(-c / (b + root)) if b > 0.0 else float((root - b) / a)
