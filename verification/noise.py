"""Label-noise SGD next to the flow: the error against the step size, and one long run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import manifoldflow as mf
from manifoldflow.errors import ManifoldflowError
from manifoldflow.sgd import SGDRun, stable_step_size

from .errors import NotStatedError
from .points import Array

if TYPE_CHECKING:
    from .evidence import Evidence

RUNS = 6
LONG_STEPS = 1_500_000
RECORDS = 25
LONG_SPREAD = 0.4  # share of the units' initial disagreement that is left at the long run's horizon
BOOTSTRAPS = 2000
PULL_BACK_RTOL = 1e-8  # the errors that are fitted are 1e-4 or more of |theta|


@dataclass(frozen=True)
class Plan:
    """How much an error study simulates: step sizes as `fractions` of the stable one at the start, the number of runs
    at each, the steps of a run at the largest (the others take more, as 1 / eta^2), and the share `drop` of F - F(end)
    that the flow loses on the way.
    """

    fractions: tuple[float, ...] = (0.4, 0.4 / np.sqrt(2.0), 0.2, 0.2 / np.sqrt(2.0))
    runs: int = RUNS
    coarse_steps: int = 100_000
    drop: float = 0.25


@dataclass(frozen=True, eq=False)
class ErrorStudy:
    """Errors of SGD, pulled back to M, against the flow at one flow time, for several step sizes.

    `bias` (k,): |mean over runs - flow|, with the runs' scatter taken out; `scatter` (k,): standard deviation of
    a run; `order`: the bias's fitted exponent in the step size, with a 95 % interval; `moved`: the flow's way.
    """

    step_sizes: Array
    steps: NDArray[np.integer]
    bias: Array
    scatter: Array
    order: float
    order_interval: tuple[float, float]
    scatter_order: float
    horizon: float
    noise_std: float
    moved: float


@dataclass(frozen=True, eq=False)
class LongRun:
    """One run at the largest step size: sharpness and spread of the units' features, and the flow's at those times."""

    times: Array
    sharpness: Array
    spread: Array
    flow_sharpness: Array
    flow_spread: Array
    step_size: float
    noise_std: float


@dataclass(frozen=True, eq=False)
class NoiseStudy:
    """Label-noise SGD next to the flow; the long run is of units phi(z), whose disagreement shrinks."""

    errors: ErrorStudy
    long: LongRun | None


def spread(Z: Array) -> Array:
    """How far the units disagree: |Z - mean over units|, for one matrix or a stack."""
    return np.asarray(np.linalg.norm(Z - Z.mean(axis=-2, keepdims=True), axis=(-2, -1)))


def study(evidence: Evidence) -> NoiseStudy:
    """Simulate SGD at several step sizes, several runs each, and once for longer."""
    try:
        return _study(evidence)
    except ManifoldflowError as error:
        raise NotStatedError(f"the simulation stopped: {error}") from error


def _study(evidence: Evidence) -> NoiseStudy:
    errors = error_study(evidence, Plan())
    return NoiseStudy(errors, _long_run(evidence, float(errors.step_sizes[0])) if evidence.has_unit_weights else None)


Simulate = Callable[..., SGDRun]


def error_study(evidence: Evidence, plan: Plan, simulated: Simulate | None = None) -> ErrorStudy:
    """Errors at the step sizes of the plan; `simulated` runs SGD in place of `simulate`, with the same arguments."""
    etas = np.array(plan.fractions) * stable_step_size(evidence.manifold, evidence.start)
    horizon = time_of_drop(evidence, plan.drop)
    std = _noise_std(evidence.manifold.n, horizon, float(etas[0]), plan.coarse_steps)
    ends = [_errors(evidence, float(eta), std, horizon, 200 + k, plan.runs, simulated or simulate)
            for k, eta in enumerate(etas)]  # fmt: skip
    errors, steps = [end for end, _ in ends], np.array([count for _, count in ends])
    moved = float(np.linalg.norm(evidence.flow.sol(horizon) - evidence.start))
    return fitted(etas, errors, steps, horizon, std, moved, evidence.rng(300))


def fitted(
    etas: Array, errors: list[Array], steps: NDArray[np.integer], horizon: float, std: float, moved: float,
    rng: np.random.Generator,
) -> ErrorStudy:  # fmt: skip
    """The fit to errors that were measured: a run a row, an array a step size."""
    bias, scatter = np.array([_bias(e) for e in errors]), np.array([_scatter(e) for e in errors])
    return ErrorStudy(
        etas, steps, bias, scatter, fitted_order(etas, bias), _bootstrap(etas, errors, rng),
        fitted_order(etas, scatter), horizon, std, moved,
    )  # fmt: skip


def relaxations(evidence: Evidence, errors: ErrorStudy) -> float:
    """How often, on the shortest run, the slowest residual falls by 1/e: 2 eta k lambda_min(J J^T) / n.

    Residuals of equal samples do not differ, and need no time until they agree.
    """
    slowest = float(np.linalg.eigvalsh(evidence.manifold.distinct.jacobian_gram(evidence.start))[0])
    return 2.0 * float(np.min(errors.step_sizes * errors.steps)) * slowest / evidence.manifold.n


def _errors(
    evidence: Evidence, eta: float, std: float, horizon: float, stream: int, runs: int, simulated: Simulate
) -> tuple[Array, int]:
    """Differences from the flow, a run a row, and the number of steps."""
    target = evidence.manifold.coordinates.reduce(evidence.flow.sol(horizon))
    n_steps = _steps(evidence, eta, std, horizon)
    run = simulated(evidence, eta, mf.LabelNoise(std=std), n_steps, runs, stream)
    ends = [pulled_back(evidence, theta) - target for theta in run.theta]
    return np.array(ends).reshape(runs, -1), run.n_steps


def time_of_drop(evidence: Evidence, drop: float) -> float:
    """When the flow has lost that share of F - F(end); raises `NotStatedError` where F does not fall."""
    F = evidence.flow.sharpness
    if np.ptp(F) <= 1e-9 * F[0]:
        raise NotStatedError("the sharpness does not fall along the flow, so there is no motion to compare with.")
    k = int(np.argmax(F - F[-1] <= (1.0 - drop) * (F[0] - F[-1])))
    return float(evidence.flow.t[k])


def _noise_std(n: int, horizon: float, eta: float, steps: int) -> float:
    """The noise with which so many steps of this size reach the horizon: eta^2 steps sigma^2 / (2 n) =
    horizon.
    """
    return float(np.sqrt(2.0 * n * horizon / (steps * eta**2)))


def _steps(evidence: Evidence, eta: float, std: float, horizon: float) -> int:
    return max(1, round(horizon * 2.0 * evidence.manifold.n / (std * eta) ** 2))


def simulate(
    evidence: Evidence, eta: float, noise: mf.LabelNoise, n_steps: int, n_runs: int, stream: int, *,
    checkpoint: Path | None = None, **options: Any,
) -> SGDRun:  # fmt: skip
    """SGD from the case's start, with the case's stream of that number; `options` are those of `label_noise_sgd`.

    Ctrl-C is passed on: a shorter run is not what was asked for.
    """
    case = evidence.case
    run = mf.label_noise_sgd(
        evidence.manifold.network, case.data.X, case.data.y, evidence.start, step_size=float(eta), noise=noise,
        n_steps=n_steps, n_runs=n_runs, rng=evidence.rng(stream), checkpoint=checkpoint, **options,
    )  # fmt: skip
    if run.status == "interrupted":
        raise KeyboardInterrupt
    return run


def pulled_back(evidence: Evidence, theta: Array) -> Array:
    """Where the noiseless gradient flow would end, in reduced coordinates."""
    limit = mf.gradient_flow_limit(evidence.manifold, theta, rtol=PULL_BACK_RTOL)
    return evidence.manifold.coordinates.reduce(limit)


def _bias(errors: Array) -> float:
    """|mean error|, with the part of its square that the runs' scatter explains taken out."""
    mean = errors.mean(axis=0)
    return float(np.sqrt(max(mean @ mean - errors.var(axis=0, ddof=1).sum() / len(errors), 0.0)))


def _scatter(errors: Array) -> float:
    return float(np.sqrt(errors.var(axis=0, ddof=1).sum()))


def fitted_order(etas: Array, values: Array) -> float:
    """Exponent of a power law by least squares in logarithms; NaN where a value is 0."""
    if np.any(values <= 0.0):
        return float("nan")
    return float(np.polyfit(np.log(etas), np.log(values), 1)[0])


def _bootstrap(etas: Array, errors: list[Array], rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the order: runs are drawn again with replacement within each step size.

    A resample repeats runs, and the product of a run with itself holds its scatter: only pairs of different runs
    are averaged. The Gram matrix of the errors makes a resample cost O(R^2).
    """
    slopes = []
    grams = [e @ e.T for e in errors]
    for _ in range(BOOTSTRAPS):
        values = np.array([_resampled_bias(gram, rng.integers(len(gram), size=len(gram))) for gram in grams])
        slopes.append(fitted_order(etas, values))
    kept = np.array(slopes)[np.isfinite(slopes)]
    if kept.size < BOOTSTRAPS // 2:
        return float("-inf"), float("inf")
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)


def _resampled_bias(gram: Array, chosen: NDArray[np.integer]) -> float:
    """Mean inner product of pairs of different runs in the resample: |mean error|^2 without the scatter."""
    sub = gram[np.ix_(chosen, chosen)]
    different = chosen[:, None] != chosen[None, :]
    return float(np.sqrt(max(sub[different].mean(), 0.0))) if different.any() else 0.0


def _long_run(evidence: Evidence, eta: float) -> LongRun:
    manifold, flow = evidence.manifold, evidence.flow
    disagreement = spread(evidence.features)
    k = int(np.argmax(disagreement <= LONG_SPREAD * disagreement[0])) or len(flow.t) - 1
    horizon = float(flow.t[k])
    std = _noise_std(manifold.n, horizon, eta, LONG_STEPS)
    n_steps = max(RECORDS, _steps(evidence, eta, std, horizon))
    run = simulate(evidence, eta, mf.LabelNoise(std=std), n_steps, 1, 250, record_every=n_steps // RECORDS)
    times = run.clock * eta**2 * run.steps[:RECORDS]
    kept = times <= flow.t[-1]
    points = [pulled_back(evidence, theta) for theta in run.recorded[:RECORDS, 0][kept]]
    flow_points = list(manifold.coordinates.reduce(flow.sol(times[kept])))
    return LongRun(
        times=times[kept],
        sharpness=_sharpness(manifold, points),
        spread=_spreads(manifold, points) / disagreement[0],
        flow_sharpness=_sharpness(manifold, flow_points),
        flow_spread=_spreads(manifold, flow_points) / disagreement[0],
        step_size=eta,
        noise_std=std,
    )


def _sharpness(manifold: mf.ZeroLossManifold, points: list[Array]) -> Array:
    return np.array([manifold.sharpness(manifold.coordinates.expand(W)) for W in points])


def _spreads(manifold: mf.ZeroLossManifold, points: list[Array]) -> Array:
    rank = manifold.coordinates.rank
    return spread(np.stack([W[:, :rank] @ manifold.problem.R.T for W in points]))
