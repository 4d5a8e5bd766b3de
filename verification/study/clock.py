"""The constant of the clock: how fast SGD moves along the flow, for every way to draw samples and noise.

A run's end is pulled back to M, its way projected on that of the flow, and the time read off at which the flow has
come as far. Over the time that the run's own clock states, this is the speed, 1 + O(eta). In a run of K steps it
scatters by a constant over (eta K)^(1/2), K in relaxation times, whatever the noise's size: many steps of weak noise
are both the precise and the unbiased choice. Three step sizes, with the same noise and time, are extrapolated to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import manifoldflow as mf
from manifoldflow.errors import ManifoldflowError
from manifoldflow.sgd import SGDRun, finite_step_flow, stable_step_size
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.noise import Simulate, pulled_back, time_of_drop
from verification.points import Array

from .comparison import Comparison, Estimate, at_zero, mean, zero_weights
from .sizes import ClockPlan, Scheme

SCHEMES = (
    Scheme("one sample"),
    Scheme("one sample, gaussian noise", kind="gaussian"),
    Scheme("one sample, uniform noise", kind="uniform"),
    Scheme("one sample, epochs", sampling="epochs"),
    Scheme("batches of 2", batch=2),
    Scheme("batches of 2, distinct", batch=2, sampling="distinct"),
    Scheme("batches of 3, epochs", batch=3, sampling="epochs", kind="gaussian"),
    Scheme("full batch", batch="full"),
    Scheme("full batch, gaussian noise", batch="full", kind="gaussian"),
    Scheme("full batch, uniform noise", batch="full", kind="uniform"),
    Scheme("momentum 1/2", momentum=0.5),
    Scheme("momentum 0.9, batches of 2, distinct", momentum=0.9, batch=2, sampling="distinct"),
    Scheme("momentum 0.9, full batch", momentum=0.9, batch="full"),
    Scheme("linear schedule", schedule="linear"),
    Scheme("cosine schedule, momentum 1/2, full batch", schedule="cosine", momentum=0.5, batch="full"),
)
_RTOL = 1e-8  # of the corrected flow


@dataclass(frozen=True, eq=False)
class ClockRow:
    """One scheme, with steps from `fraction` of its stable one down: speed over the flow at each step size, what
    S14 predicts there (NaN: not known), and the speed at step size 0. `remainder`: what the extrapolation makes of the
    predicted speeds, less 1.
    """

    scheme: Scheme
    fraction: float
    noise_std: float
    step_sizes: Array
    steps: tuple[int, ...]
    speeds: tuple[Estimate, ...]
    corrected: Array
    remainder: float
    comparison: Comparison


def clock_study(
    evidence: Evidence, plan: ClockPlan, simulated: Simulate, schemes: Sequence[Scheme] = SCHEMES
) -> tuple[ClockRow, ...]:
    """A row for each scheme whose batches the data can fill."""
    asked = [(k, scheme) for k, scheme in enumerate(schemes) if scheme.fits(evidence.manifold.n)]
    ruler = Ruler(evidence, time_of_drop(evidence, plan.drop))
    return tuple(_row(evidence, ruler, scheme, plan, simulated, 400 + 10 * k, len(asked)) for k, scheme in asked)


class Ruler:
    """Reads times off the flow: the way of a point, projected on that of the flow at a horizon."""

    def __init__(self, evidence: Evidence, horizon: float) -> None:
        self.evidence, self.horizon = evidence, horizon
        self._start = evidence.manifold.coordinates.reduce(evidence.start)
        way = self._point(horizon) - self._start
        self._direction = way / np.linalg.norm(way)
        self._times = horizon * np.linspace(0.4, 3.2, 281)  # half the stable step, of the full batch, doubles a speed
        self._ways = np.array([self._along(self._point(float(t))) for t in self._times])
        if not np.all(np.diff(self._ways) > 0.0):
            raise NotStatedError("the flow turns within the time of the study; its way there is no clock.")

    def _point(self, t: float) -> Array:
        flow = self.evidence.flow
        return self.evidence.manifold.coordinates.reduce(flow.sol(min(t, float(flow.t[-1]))))

    def _along(self, W: Array) -> float:
        return float(np.sum((W - self._start) * self._direction))

    def time(self, W: Array) -> float:
        """When the flow has come as far as the point; NaN outside 0.4 to 3.2 horizons."""
        return float(np.interp(self._along(W), self._ways, self._times, left=np.nan, right=np.nan))

    def speeds(self, run: SGDRun) -> Array:
        """Each run's time on the flow over the time that its clock states."""
        times = [self.time(pulled_back(self.evidence, theta)) for theta in run.theta]
        return np.array(times) / run.sharpness_flow_time

    def corrected(self, scheme: Scheme, eta: float, time: float) -> float:
        """The same for the flow of S14; NaN where it is not known, or the step size is not stable on it."""
        if not scheme.corrected:
            return float("nan")
        try:
            end = finite_step_flow(
                self.evidence.manifold, self.evidence.start, [time], eta, _RTOL, **scheme.stepping
            )[0]  # fmt: skip
        except ManifoldflowError:
            return float("nan")
        return self.time(self.evidence.manifold.coordinates.reduce(end)) / time


def stable(evidence: Evidence, scheme: Scheme) -> float:
    """The stable step size of the scheme at the start."""
    return stable_step_size(evidence.manifold, evidence.start, scheme.batch, scheme.momentum)


def _row(
    evidence: Evidence, ruler: Ruler, scheme: Scheme, plan: ClockPlan, simulated: Simulate, stream: int, family: int
) -> ClockRow:
    n, fractions = evidence.manifold.n, np.array(plan.fractions)
    etas = fractions * stable(evidence, scheme)
    coarse = max(1, plan.uses // scheme.uses(n))
    std = scheme.noise_std(n, ruler.horizon, float(etas[0]), coarse)
    noise = mf.LabelNoise(scheme.kind, std)
    steps = tuple(round(coarse * float(etas[0] / eta) ** 2) for eta in etas)
    runs = [simulated(evidence, float(eta), noise, count, plan.runs, stream + k, **scheme.options)
            for k, (eta, count) in enumerate(zip(etas, steps, strict=True))]  # fmt: skip
    speeds = tuple(mean(ruler.speeds(run)) for run in runs)
    corrected = np.array([ruler.corrected(scheme, float(eta), run.sharpness_flow_time)
                          for eta, run in zip(etas, runs, strict=True)])  # fmt: skip
    comparison = Comparison(scheme.name, at_zero(fractions, speeds), 1.0, plan.runs * len(etas), family)
    remainder = float(zero_weights(fractions) @ corrected - 1.0)
    return ClockRow(scheme, float(fractions[0]), std, etas, steps, speeds, corrected, remainder, comparison)


