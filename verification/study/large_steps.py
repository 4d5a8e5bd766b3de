"""Steps that are not small: the speed along the flow, against what S14 predicts and the leading order, which is 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import manifoldflow as mf
from manifoldflow.sgd import finite_step_flow
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.noise import Simulate, time_of_drop
from verification.points import Array

from .clock import Ruler, stable
from .comparison import Comparison, at_zero, mean
from .sizes import LargePlan, Scheme

SCHEMES = (
    Scheme("full batch", batch="full"),
    Scheme("one sample"),
    Scheme("batches of 2, distinct", batch=2, sampling="distinct"),
    Scheme("momentum 1/2, full batch", momentum=0.5, batch="full"),
)
# Step size, noise, steps. The literature's loss has a factor 1/2: its step size is twice ours.
PRODUCT_CASES = ((0.1, 0.3, 833), (0.01, 0.3, 83_333), (0.1, 0.1, 7_497))


@dataclass(frozen=True)
class LargeRow:
    """One scheme at one step size, a `fraction` of the stable one: a speed, and what the leading order says (1)."""

    scheme: str
    fraction: float
    step_size: float
    noise_std: float
    steps: int
    comparison: Comparison

    @property
    def missed(self) -> float:
        """How many standard errors the leading order is off."""
        return (self.comparison.estimate.value - 1.0) / self.comparison.estimate.error


@dataclass(frozen=True)
class ProductRow:
    """f = u v: how far log(u^2 - v^2) falls, by SGD, by S14 and to leading order."""

    step_size: float
    noise_std: float
    steps: int
    leading: float
    comparison: Comparison


def large_step_study(
    evidence: Evidence, plan: LargePlan, simulated: Simulate, schemes: Sequence[Scheme] = SCHEMES
) -> tuple[LargeRow, ...]:
    """A row for each scheme and step size at which S14 has a value."""
    ruler = Ruler(evidence, plan.share * time_of_drop(evidence, plan.drop))
    asked = [(600 + 20 * k + j, scheme, fraction)
             for k, scheme in enumerate(schemes) if scheme.fits(evidence.manifold.n)
             for j, fraction in enumerate(plan.fractions)]  # fmt: skip
    rows = [_row(evidence, ruler, plan, simulated, len(asked), *item) for item in asked]
    found = tuple(row for row in rows if row is not None)
    if not found:
        raise NotStatedError("none of the step sizes is stable along the way.")
    return found


def _row(
    evidence: Evidence, ruler: Ruler, plan: LargePlan, simulated: Simulate, family: int, stream: int, scheme: Scheme,
    fraction: float,
) -> LargeRow | None:  # fmt: skip
    n, eta = evidence.manifold.n, fraction * stable(evidence, scheme)
    predicted = ruler.corrected(scheme, eta, ruler.horizon)
    if np.isnan(predicted):
        return None
    variances = np.array(plan.variances)
    counts = [max(1, round(plan.uses / scheme.uses(n) / variance)) for variance in variances]
    stds = [scheme.noise_std(n, ruler.horizon, eta, steps) for steps in counts]
    noises = [mf.LabelNoise(scheme.kind, std) for std in stds]
    runs = [simulated(evidence, eta, noise, steps, plan.runs, stream + 10 * k, **scheme.options)
            for k, (noise, steps) in enumerate(zip(noises, counts, strict=True))]  # fmt: skip
    speed = at_zero(variances, [mean(ruler.speeds(run)) for run in runs])
    name = f"{scheme.name}, {fraction:g} of the stable step"
    comparison = Comparison(name, speed, predicted, plan.runs * len(runs), family)
    return LargeRow(scheme.name, fraction, eta, stds[0], counts[0], comparison)


def product_study(plan: LargePlan, seed: int) -> tuple[ProductRow, ...]:
    """The check of the literature, f = u v = 1 from (2, 1/2)."""
    manifold = mf.ZeroLossManifold(mf.TwoLayerNetwork(mf.UnitFunction("u*v", own=("u", "v")), width=1), [[1.0]], [1.0])
    return tuple(_product_row(manifold, plan.product_runs, [seed, 700 + k], *case)
                 for k, case in enumerate(PRODUCT_CASES))  # fmt: skip


def _product_row(
    manifold: mf.ZeroLossManifold, runs: int, seed: list[int], eta: float, std: float, steps: int
) -> ProductRow:
    start = np.array([[0.0, 2.0, 0.5]])
    run = mf.label_noise_sgd(
        manifold.network, manifold.X, manifold.y, start, step_size=eta, noise=mf.LabelNoise("gaussian", std),
        n_steps=steps, n_runs=runs, rng=np.random.default_rng(seed),
    )  # fmt: skip
    if run.status == "interrupted":
        raise KeyboardInterrupt
    time = run.sharpness_flow_time
    falls = _level(run.theta) - _level(start[None])[0]
    corrected = _level(finite_step_flow(manifold, start, [time], eta))[0] - _level(start[None])[0]
    plain = _level(mf.sharpness_flow(manifold, start, (0.0, time)).theta[-1:])[0] - _level(start[None])[0]
    # What the noise's own size adds, relative: an output error of variance eta sigma^2 times the curvature, to 1.
    size = eta * std**2 * float(np.sum(start**2))
    return ProductRow(eta, std, steps, float(plain), Comparison(
        f"u v, step size {eta:g}, noise {std:g}", mean(falls), float(corrected), runs, len(PRODUCT_CASES),
        tolerance=size * abs(float(corrected)),
    ))  # fmt: skip


def _level(theta: Array) -> Array:
    """log(u^2 - v^2), which the noiseless flow keeps: the pull-back does not change it."""
    return np.asarray(np.log(theta[:, 0, 1] ** 2 - theta[:, 0, 2] ** 2))
