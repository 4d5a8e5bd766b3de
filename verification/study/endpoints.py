"""Where long runs end: the setting of the paper's Figure 1, and an activation outside the assumptions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import manifoldflow as mf
from manifoldflow.datasets import DataSet
from manifoldflow.sgd import log_spaced_steps
from verification.evidence import Evidence
from verification.noise import Simulate, pulled_back
from verification.points import Array
from verification.records import Case, Check

RECORDS = 60
STEP_SIZE, NOISE_STD, WIDTH, SAMPLES = 0.05, 0.03, 10, 3
SCALE = 0.5  # of the starting point
DATA_SEED = 7  # the first with which the smallest eigenvalue of X X^T is 0.1 or more
DATA = "m = 10, X (3, 3) uniform on [0, 1] (seed 7), step size 0.05, noise +-0.03"
SMALL = 0.01  # of the largest singular value: what counts as gone


@dataclass(frozen=True, eq=False)
class EndRun:
    """One long run: times of the flow, and at each the singular values of Z and F for the iterate pulled back to M, for
    the iterate itself (singular values only), and for the flow.
    """

    name: str
    choices: str
    times: Array
    iterates: Array
    pulled_back: Array
    flow: Array
    sharpness: Array
    flow_sharpness: Array
    rank_one_sharpness: float
    checks: tuple[Check, ...]


def end_study(n_steps: int, seed: int, simulated: Simulate) -> tuple[EndRun, ...]:
    """Figure 1 with one sample a step and with all, and tanh where rank one is a maximum."""
    uniform = np.random.default_rng(DATA_SEED)
    X, y = uniform.uniform(size=(SAMPLES, SAMPLES)), uniform.uniform(size=SAMPLES)
    inside, outside = _evidence(X, y, "z**3 + z/4", seed), _evidence(X, 3.0 + y, "tanh(z)", seed)
    labels = "labels uniform on [0, 1]"
    return (
        _run(inside, "Figure 1, one sample a step", f"{DATA}; z^3 + z/4, {labels}", 1, n_steps, 800, simulated, True),
        _run(inside, "Figure 1, full batch", f"{DATA}; z^3 + z/4, {labels}", "full", n_steps, 801, simulated, True),
        _run(outside, "tanh, one sample a step", f"{DATA}; tanh z, labels uniform on [3, 4]: |y / m| < 3^(-1/2)", 1,
             n_steps, 802, simulated, False),
    )  # fmt: skip


def _evidence(X: Array, y: Array, formula: str, seed: int) -> Evidence:
    evidence = Evidence(Case(DataSet("uniform", X, y, DATA), formula, WIDTH, seed))
    return evidence.replaced(start=evidence.manifold.random_point(rng=evidence.rng(0), scale=SCALE))


def _run(
    evidence: Evidence, name: str, choices: str, batch: int | str, n_steps: int, stream: int, simulated: Simulate,
    rank_one: bool,
) -> EndRun:  # fmt: skip
    run = simulated(
        evidence, STEP_SIZE, mf.LabelNoise(std=NOISE_STD), n_steps, 1, stream, batch_size=batch,
        record_at=log_spaced_steps(n_steps, RECORDS),
    )  # fmt: skip
    manifold, flow = evidence.manifold, evidence.flow
    times = run.clock * run.flow_times
    thetas = run.recorded[:, 0]
    limits = np.array([manifold.coordinates.expand(pulled_back(evidence, theta)) for theta in thetas])
    along = flow.sol(np.minimum(times, flow.t[-1]))
    found = EndRun(
        name, choices, times, _singular_values(manifold, thetas), _singular_values(manifold, limits),
        _singular_values(manifold, along), _sharpness(manifold, limits), _sharpness(manifold, along),
        evidence.minimum.sharpness, (),
    )  # fmt: skip
    checks = _rank_one(found) if rank_one else _not_rank_one(found)
    return replace(found, checks=checks)


def _rank_one(found: EndRun) -> tuple[Check, ...]:
    ratio = float(found.pulled_back[-1, 1] / found.pulled_back[-1, 0])
    reason = "a choice: what the noise leaves of the others at this step size is below it"
    return (Check("second singular value of Z over the first, at the end", ratio, "<=", SMALL, 0.0, reason, 1),)


def _not_rank_one(found: EndRun) -> tuple[Check, ...]:
    ratio = float(found.pulled_back[-1, 1] / found.pulled_back[-1, 0])
    below = float(found.sharpness[-1] / found.rank_one_sharpness)
    return (
        Check("second singular value of Z over the first, at the end", ratio, ">=", SMALL, 0.0, "a choice", 1),
        Check("F at the end over F at the rank-one point", below, "<=", 0.5, 0.0, "a choice: well below it", 1),
    )


def _singular_values(manifold: mf.ZeroLossManifold, points: Array) -> Array:
    return np.array([np.linalg.svd(manifold.preactivations(point), compute_uv=False) for point in points])


def _sharpness(manifold: mf.ZeroLossManifold, points: Array) -> Array:
    return np.array([manifold.sharpness(point) for point in points])
