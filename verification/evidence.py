"""Everything that is computed about a case, each result once and when it is first asked for."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np

import manifoldflow as mf
from manifoldflow.assumptions import Constants
from manifoldflow.errors import AssumptionWarning, GeometryError
from manifoldflow.flow import FlowSolution

from .errors import NotStatedError
from .noise import NoiseStudy, study
from .points import (
    Array,
    Minimiser,
    Point,
    RegionPoint,
    activation_table,
    curvature,
    measure,
    minimiser,
    onto_manifold,
    random_points,
)
from .records import Case

EPS = float(np.finfo(float).eps)
MAX_FLOW_STEPS = 4_000
RTOL, ATOL = 1e-8, 1e-10  # of the flow
RANDOM_SCALES = (0.5, 1.0, 1.0, 1.5, 2.0, 3.0) * 4
FLOW_SAMPLES = 40
REGION_RADII = (0.97, 0.8, 0.5, 0.25, 0.1, 0.02)  # of the largest radius, kappa = 4


class Evidence:
    """Shared results of one case; `replaced` gives a copy with some of them exchanged.

    >>> evidence = Evidence(Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4))
    >>> evidence.flow.status, evidence.constants.rho2
    ('stationary', 6.0)
    """

    def __init__(self, case: Case) -> None:
        self.case = case

    def replaced(self, **results: Any) -> Evidence:
        """A copy in which the named results have other values: what would the verdicts be then?"""
        copy = Evidence(self.case)
        copy.__dict__.update(self.__dict__)
        unknown = [name for name in results if not isinstance(getattr(Evidence, name, None), cached_property)]
        if unknown:
            raise ValueError(f"There are no results named {', '.join(unknown)}.")
        copy.__dict__.update(results)
        return copy

    def rng(self, stream: int) -> np.random.Generator:
        """Generator number `stream` of the case: the results do not depend on the order in which they
        are asked for.
        """
        return np.random.default_rng([self.case.seed, stream])

    @cached_property
    def manifold(self) -> mf.ZeroLossManifold:
        """The zero-loss manifold."""
        return mf.ZeroLossManifold(
            mf.TwoLayerNetwork(mf.UnitFunction(self.case.activation), width=self.case.width),
            self.case.data.X,
            self.case.data.y,
        )

    @cached_property
    def start(self) -> Array:
        """Where the flow and SGD start: a random point of M."""
        return self.manifold.random_point(rng=self.rng(0))

    @cached_property
    def constants(self) -> Constants:
        """The constants of S7 for the flow from `start`."""
        return measure(self.manifold, self.start).constants

    @cached_property
    def flow(self) -> FlowSolution:
        """The flow from `start` to stationarity (or to the largest number of steps)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)  # the hypotheses of each verdict say it
            return mf.sharpness_flow(
                self.manifold, self.start, method="implicit", rtol=RTOL, atol=ATOL, max_steps=MAX_FLOW_STEPS
            )

    @property
    def settled(self) -> bool:
        """Is it known where the flow ends: it is stationary, or F is below F* already, so that it
        cannot end at F*?
        """
        below = self.has_minimum and self.flow.sharpness[-1] < (1.0 - 1e-9) * self.minimum.sharpness
        return bool(below or self.flow.status == "stationary")

    @property
    def has_minimum(self) -> bool:
        """Does the rank-one point exist?"""
        try:
            return self.minimum is not None
        except NotStatedError:
            return False

    @cached_property
    def features(self) -> Array:
        """Pre-activations along the flow, (k, m, n)."""
        rank = self.manifold.coordinates.rank
        return np.matmul(self.flow.W[..., :rank], self.manifold.problem.R.T)

    @cached_property
    def seen(self) -> tuple[float, float]:
        """The range of the pre-activations along the flow and at the random points."""
        matrices = [self.features, *(point.Z for point in self.random_points)]
        return min(float(Z.min()) for Z in matrices), max(float(Z.max()) for Z in matrices)

    @cached_property
    def sampled(self) -> Array:
        """Indices of flow points that stand for the whole flow: evenly spread over its steps, both ends
        included.
        """
        return np.unique(np.linspace(0, self.flow.t.size - 1, FLOW_SAMPLES).round().astype(int))

    @cached_property
    def flow_points(self) -> tuple[Point, ...]:
        """Points along the flow."""
        return tuple(measure(self.manifold, self.flow.theta[k]) for k in self.sampled)

    @cached_property
    def random_points(self) -> tuple[Point, ...]:
        """Random points of M at several scales."""
        return tuple(
            measure(self.manifold, theta) for theta in random_points(self.manifold, self.rng(1), RANDOM_SCALES)
        )

    @property
    def covered_points(self) -> tuple[Point, ...]:
        """The random points at which A1 and A2 hold, with the constants of that point."""
        return tuple(point for point in self.random_points if not {"A1", "A2"} & set(point.constants.failing))

    @cached_property
    def minimum(self) -> Minimiser:
        """The rank-one point and F*, without the flow."""
        return minimiser(self.manifold)

    @cached_property
    def region(self) -> tuple[RegionPoint, ...]:
        """Points with |grad F| <= r(kappa = 4): along the flow, and random tangent moves from the end
        at several radii.
        """
        radius = self.constants.radius(4.0)
        if not (np.isfinite(radius) and radius > 0.0):
            raise NotStatedError("there is no region |grad F| <= r: r is not positive.")
        inside = np.flatnonzero(self.flow.gradient_norm <= radius)
        chosen = inside[np.unique(np.linspace(0, inside.size - 1, 6).round().astype(int))] if inside.size else inside
        points = [self.flow.theta[k] for k in chosen]
        points += [self._at_radius(k, share * radius) for k, share in enumerate(REGION_RADII * 2)]
        found = [curvature(self.manifold, theta) for theta in points if theta is not None]
        return tuple(item for item in found if item.point.gradient_norm <= radius and self._within(item.point.Z))

    def _within(self, Z: Array) -> bool:
        low, high = self.constants.interval
        return bool(low <= Z.min() and Z.max() <= high)

    def _at_radius(self, k: int, target: float) -> Array | None:
        """A random tangent move from the minimiser, scaled so that |grad F| is just below the target."""
        manifold, end = self.manifold, self.minimum.theta
        direction = self.rng(100 + k).normal(size=manifold.shape)
        if k % 2:  # the same size in every pre-activation: soft directions of the data
            Z = self.rng(100 + k).normal(size=(manifold.m, manifold.n))
            direction = manifold.coordinates.expand(manifold.coordinates.weights_from_preactivations(Z))
        tangent = manifold.projection(end, direction)
        tangent = tangent / np.linalg.norm(tangent)
        length, best = target / max(_slope(manifold, end, tangent), 1e-300), None
        for _ in range(12):
            theta = onto_manifold(manifold, end + length * tangent)
            norm = np.inf if theta is None else float(np.linalg.norm(manifold.gradient(theta)))
            if theta is not None and norm <= target:
                best = theta
                if norm > 0.98 * target:
                    break
            length *= min(max(0.995 * target / norm, 0.2), 3.0) if np.isfinite(norm) else 0.3
        return best

    @cached_property
    def saddle(self) -> RegionPoint | None:
        """The point with the most negative Hessian eigenvalue among the start and random points; None
        where none is negative.
        """
        candidates = [self.start, *(point.theta for point in self.random_points[3:6])]
        found = min((curvature(self.manifold, theta) for theta in candidates), key=lambda item: item.smallest)
        return found if found.smallest < 0.0 else None

    @cached_property
    def flow_curvature(self) -> Array:
        """Hess F[g, g] / |g|^2 at the sampled flow points, g the gradient."""
        values = []
        for k in self.sampled:
            gradient = self.manifold.gradient(self.flow.theta[k])
            image = self.manifold.hessian_vector_product(self.flow.theta[k], gradient)
            values.append(np.sum(gradient * image) / max(np.sum(gradient * gradient), 1e-300))
        return np.array(values)

    @cached_property
    def flattest(self) -> Any:
        """What `flattest_point` returns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)
            return mf.flattest_point(self.manifold, self.start)

    @cached_property
    def noise(self) -> NoiseStudy:
        """Label-noise SGD next to the flow."""
        return study(self)

    @cached_property
    def distance_left(self) -> Array | None:
        """What S6 allows |z_ji - z*_i| (n,) to be where the flow stopped; None where A1 or A2 fails."""
        found = self.constants
        if {"A1", "A2"} & set(found.failing):
            return None
        scale = 2.0 * self.manifold.problem.s * np.sqrt(found.mu) * found.rho1 * found.rho2
        return np.asarray(self.flow.gradient_norm[-1] / scale)

    def gradient_rounding(self, theta: Array) -> float:
        """100 eps sqrt(cond K) |Euclidean gradient|: what is left of a vanishing gradient in float64."""
        J = self.manifold.jacobian(theta).reshape(self.manifold.n, -1)
        values = np.linalg.svd(J, compute_uv=False)
        if values[-1] == 0.0:
            raise GeometryError("J J^T is singular at the point whose rounding was asked for.")
        euclidean = np.linalg.norm(_euclidean(self.manifold, self.manifold.preactivations(theta)))
        return float(100.0 * EPS * values[0] / values[-1] * euclidean)


def _slope(manifold: mf.ZeroLossManifold, theta: Array, tangent: Array) -> float:
    return float(np.linalg.norm(manifold.hessian_vector_product(theta, tangent)))


def _euclidean(manifold: mf.ZeroLossManifold, Z: Array) -> Array:
    """The Euclidean gradient of F, 4 a^2 s phi' phi'' X, in reduced coordinates."""
    table = activation_table(manifold, Z)
    return np.asarray(4.0 * manifold.a**2 * manifold.problem.s * table[1] * table[2] @ manifold.problem.R)
