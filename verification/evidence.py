"""Everything that is computed about a case, each result once and when it is first asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import manifoldflow as mf
from manifoldflow.assumptions import Constants
from manifoldflow.certificates import ConstantsEnclosure, NegativeCurvature, Survey, negative_curvature
from manifoldflow.certificates.existence import ExactPoint, exact_zero_loss_point
from manifoldflow.certificates.survey import completed, constants_from
from manifoldflow.errors import AssumptionWarning, GeometryError
from manifoldflow.flow import FlowSolution
from manifoldflow.integration import FlowProgress

from . import problems
from .errors import NotStatedError
from .noise import NoiseStudy, study
from .points import Array, Minimiser, Point, RegionPoint, activation_table, curvature, measure, minimiser, random_points
from .proved import constants_with_proofs
from .records import Case
from .region import region_points

if TYPE_CHECKING:
    from .study.large_steps import LargeRow

EPS = float(np.finfo(float).eps)
MAX_FLOW_STEPS = 10_000
RTOL, ATOL = 1e-8, 1e-10  # of the flow
RANDOM_SCALES = (0.5, 1.0, 1.0, 1.5, 2.0, 3.0) * 4
FLOW_SAMPLES = 40


@dataclass(frozen=True)
class FlowOptions:
    """How the flow of a case is integrated: options of `sharpness_flow`; as they are by default, for verdicts.

    `keeps_part`: after Ctrl-C there is the part that was integrated; otherwise Ctrl-C is passed on, since a verdict on
    half a flow is none.
    """

    t_end: float = np.inf
    rtol: float = RTOL
    method: str = "implicit"
    max_steps: int = MAX_FLOW_STEPS
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0
    callback: Callable[[FlowProgress], object] | None = None
    keeps_part: bool = False


class Evidence:
    """Shared results of one case; `replaced` gives a copy with some of them exchanged.

    >>> evidence = Evidence(Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4))
    >>> evidence.flow.status, evidence.constants.rho2
    ('stationary', 6.0)
    """

    def __init__(self, case: Case, flow_options: FlowOptions | None = None) -> None:
        self.case, self.flow_options = case, flow_options or FlowOptions()

    def replaced(self, **results: Any) -> Evidence:
        """A copy in which the named results have other values: what would the verdicts be then?"""
        copy = Evidence(self.case, self.flow_options)
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
        return mf.ZeroLossManifold(self.case.network(self.case), self.case.data.X, self.case.data.y)

    @property
    def is_plain(self) -> bool:
        """Are the units a*phi(z), what A1 to A3 and the certificates are about?"""
        return self.manifold.network.unit.phi is not None

    @property
    def has_unit_weights(self) -> bool:
        """Are the units plain and all output weights 1, the paper's case?"""
        return self.is_plain and bool((self.manifold.a == 1.0).all())

    @property
    def has_features(self) -> bool:
        """Do the units meet weights, so that there are pre-activations? Those of a diagonal linear network do not."""
        return self.manifold.coordinates.rank > 0

    @cached_property
    def start(self) -> Array:
        """Where the flow and SGD start: a random point of M."""
        return self.manifold.random_point(rng=self.rng(0))

    @cached_property
    def exact_point(self) -> ExactPoint:
        """Whether a point of M is proved near `start`, for units of any form."""
        return exact_zero_loss_point(self.manifold, self.start)

    @cached_property
    def enclosure(self) -> ConstantsEnclosure:
        """The constants of S7 for the flow from `start`, each between two numbers; raises `NotStatedError` for units of
        another form.
        """
        if not self.is_plain:
            raise NotStatedError("certificates of constants are about units a*phi(z).")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)
            return constants_from(self.manifold, self.start, self.exact_point)

    @cached_property
    def survey(self) -> Survey:
        """Every certificate about the manifold and the start; raises `NotStatedError` for units of another form."""
        enclosure = self.enclosure
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)
            return completed(self.manifold, self.exact_point, enclosure)

    @cached_property
    def constants(self) -> Constants:
        """The constants of S7 for the flow from `start`: their proved ends, and from a grid where nothing is proved."""
        if not self.is_plain:
            raise NotStatedError("A1-A3 and their constants are about units a*phi(z).")
        return constants_with_proofs(measure(self.manifold, self.start).constants, self.enclosure)

    @cached_property
    def flow(self) -> FlowSolution:
        """The flow from `start` to stationarity (to the end that was asked for, or the largest number of steps)."""
        asked = self.flow_options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)  # the hypotheses of each verdict say it
            found = mf.sharpness_flow(
                self.manifold, self.start, (0.0, asked.t_end), method=asked.method, rtol=asked.rtol, atol=ATOL,
                max_steps=asked.max_steps, callback=asked.callback, checkpoint=asked.checkpoint,
                checkpoint_interval=asked.checkpoint_seconds,
            )  # fmt: skip
        if found.status == "interrupted" and not asked.keeps_part:
            raise KeyboardInterrupt
        return found

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
    def random_thetas(self) -> tuple[Array, ...]:
        """Random points of M at several scales."""
        return random_points(self.manifold, self.rng(1), RANDOM_SCALES)

    @cached_property
    def random_points(self) -> tuple[Point, ...]:
        """The same with what is measured at each."""
        return tuple(measure(self.manifold, theta) for theta in self.random_thetas)

    @property
    def covered_points(self) -> tuple[Point, ...]:
        """The random points at which A1 and A2 hold, with the constants of that point."""
        return tuple(point for point in self.random_points if not point.fails_a1_or_a2)

    @cached_property
    def minimum(self) -> Minimiser:
        """The rank-one point and F*, without the flow."""
        return minimiser(self.manifold)

    @cached_property
    def region(self) -> tuple[RegionPoint, ...]:
        """Points with |grad F| <= r(kappa = 4)."""
        return region_points(self)

    @cached_property
    def saddle(self) -> RegionPoint | None:
        """The point with the most negative Hessian eigenvalue among the start and random points; None
        where none is negative.
        """
        candidates = [self.start, *(point.theta for point in self.random_points[3:6])]
        found = min((curvature(self.manifold, theta) for theta in candidates), key=lambda item: item.smallest)
        return found if found.smallest < 0.0 else None

    @cached_property
    def proved_saddle(self) -> NegativeCurvature | None:
        """The proof that the Hessian has a negative eigenvalue there."""
        return negative_curvature(self.manifold, self.saddle.point.theta) if self.saddle else None

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
    def large_steps(self) -> tuple[LargeRow, ...]:
        """Speeds of SGD along the flow at step sizes that are not small (S14)."""
        from .large_steps import large_steps  # it imports the study, which imports this module

        return large_steps(self)

    @cached_property
    def distance_left(self) -> Array | None:
        """What S6 allows |z_ji - z*_i| (n,) to be where the flow stopped; None where A1 or A2 fails, or a weight is not
        1.
        """
        if not self.has_unit_weights or {"A1", "A2"} & set(self.constants.failing):
            return None
        found = self.constants
        scale = 2.0 * self.manifold.problem.s * np.sqrt(found.mu) * found.rho1 * found.rho2
        return np.asarray(self.flow.gradient_norm[-1] / scale)

    @cached_property
    def signed(self) -> Evidence:
        """S10's problem: the case itself where its output weights are not all 1, else with weights of both signs."""
        return Evidence(problems.signed(self.case)) if self.has_unit_weights else self

    @cached_property
    def outside(self) -> Evidence:
        """S11's problem: the case itself where A1 is refuted for it, else its samples with tanh.

        Raises `NotStatedError` for dependent samples.
        """
        if self.manifold.mu == 0.0:
            raise NotStatedError("the samples are dependent, so that the features of one cannot move alone.")
        itself = self.has_unit_weights and self.enclosure.certificate("A1").refuted
        return self if itself else Evidence(problems.outside(self.case))

    @cached_property
    def dependent(self) -> Evidence:
        """S12's problem: the case itself where its samples are dependent, else the case cut to half the rank."""
        return self if self.manifold.mu == 0.0 else Evidence(problems.dependent(self.case))

    def gradient_rounding(self, theta: Array) -> float:
        """100 eps sqrt(cond K) times the Euclidean gradient and what it changes by as each z doubles: what is left of a
        vanishing gradient in float64, where z itself is rounded.
        """
        man = self.manifold.distinct
        J = man.jacobian(theta).reshape(man.n, -1)
        values = np.linalg.svd(J, compute_uv=False)
        if values[-1] == 0.0:
            raise GeometryError("J J^T is singular at the point whose rounding was asked for.")
        size = _euclidean(self.manifold, self.manifold.preactivations(theta))
        return float(100.0 * EPS * values[0] / values[-1] * size)


def _euclidean(manifold: mf.ZeroLossManifold, Z: Array) -> float:
    """Size of the Euclidean gradient of F, 4 a^2 s phi' phi'' X, and of its change for a relative change of Z by 1."""
    _, first, second, third = activation_table(manifold, Z)
    parts = first * second, (second**2 + np.abs(first * third)) * np.abs(Z)
    scale, R = 4.0 * manifold.a**2 * manifold.problem.s, manifold.problem.R
    return sum(float(np.linalg.norm(scale * part @ R)) for part in parts)
