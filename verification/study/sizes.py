"""How much the study simulates, and how a scheme's noise is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manifoldflow.sgd.step_size import StepSizes
from verification.noise import Plan


@dataclass(frozen=True)
class ClockPlan:
    """`fractions` of the scheme's stable step size, `runs` at each, the `uses` of a sample in a run at the largest (the
    others take more, as 1 / eta^2: the noise is the same), and the share `drop` of F - F(end) that the flow loses.
    """

    fractions: tuple[float, ...] = (0.1, 0.05, 0.025)
    runs: int = 16
    uses: int = 400_000
    drop: float = 0.05


@dataclass(frozen=True)
class LargePlan:
    """The same for steps that are not small: every step size takes as many uses, so that the noise is weak in each.

    `share` of the time that the drop takes is gone in so many steps: weaker noise, and no less precise (see `clock`).
    `variances` of the noise, over the weakest: runs with more take fewer uses in proportion, and the speeds are
    extrapolated to no noise.
    """

    fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    runs: int = 16
    uses: int = 4_000_000
    drop: float = 0.02
    share: float = 1.0
    variances: tuple[float, ...] = (1.0,)
    product_runs: int = 400


@dataclass(frozen=True)
class Size:
    """The sizes of all parts."""

    name: str
    order: Plan
    clock: ClockPlan
    large: LargePlan
    end_steps: int


QUICK = Size(
    "quick",
    Plan((0.4, 0.2, 0.1), runs=8, coarse_steps=200_000),
    ClockPlan(runs=12, uses=50_000),
    LargePlan((0.1, 0.3, 0.5), runs=12, uses=400_000, product_runs=100),
    end_steps=20_000_000,
)
FULL = Size(
    "full",
    Plan(tuple(0.4 / 2.0 ** (k / 2.0) for k in range(7)), runs=16, coarse_steps=400_000),
    ClockPlan(),
    LargePlan(),
    end_steps=40_000_000,
)


@dataclass(frozen=True)
class Scheme:
    """A way to draw samples and noise, and to step.

    >>> scheme = Scheme("batches", batch=2, momentum=0.5)
    >>> scheme.unit_clock(5), scheme.corrected
    (0.2, True)
    """

    name: str
    kind: str = "rademacher"
    batch: int | str = 1
    sampling: str = "replacement"
    momentum: float = 0.0
    schedule: str = "constant"

    @property
    def stepping(self) -> dict[str, Any]:
        """What the correction of S14 depends on."""
        return {"batch_size": self.batch, "sampling": self.sampling, "momentum": self.momentum}

    @property
    def options(self) -> dict[str, Any]:
        """Options of `label_noise_sgd`."""
        return {**self.stepping, "schedule": self.schedule}

    @property
    def corrected(self) -> bool:
        """Is the correction of S14 known for it?"""
        return self.sampling != "epochs" and self.schedule == "constant"

    def fits(self, n: int) -> bool:
        """Are there samples enough for a batch?"""
        return isinstance(self.batch, str) or self.batch <= n

    def uses(self, n: int) -> int:
        """Samples a step."""
        return n if isinstance(self.batch, str) else self.batch

    def unit_clock(self, n: int) -> float:
        """The clock of noise with variance 1, to choose the noise by; what is tested is the clock that a run states."""
        samples = 1 if isinstance(self.batch, str) else n * self.batch
        return 0.5 / samples / (1.0 - self.momentum) ** 2

    def noise_std(self, n: int, time: float, eta: float, steps: int) -> float:
        """The noise with which so many steps reach that time of the flow."""
        squares = StepSizes(eta, self.schedule, steps).sum_of_squares(steps)
        return float(np.sqrt(time / (self.unit_clock(n) * squares)))
