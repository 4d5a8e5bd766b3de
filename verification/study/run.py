"""The driver: parts in, results out; every simulation has a checkpoint, so an interrupted study is continued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifoldflow.checkpoint import content_hash
from manifoldflow.errors import CheckpointError, InputError, ManifoldflowError
from manifoldflow.sgd import SGDRun
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.noise import Simulate, simulate
from verification.records import Case, Status
from verification.results import FAILS, HOLDS, INTERRUPTED, UNDECIDED

from .clock import ClockRow, clock_study
from .endpoints import EndRun, end_study
from .large_steps import LargeRow, ProductRow, large_step_study, product_study
from .order import OrderResult, order_study
from .sizes import Size

PARTS = ("order", "clock", "large", "ends")
Report = Callable[[str], Any]  # a line on what is being done


@dataclass(frozen=True, eq=False)
class Study:
    """What was found; a part that was not asked for is empty. `skipped`: part and case, and why it says nothing."""

    size: Size
    seed: int
    order: tuple[OrderResult, ...] = ()
    clock: dict[str, tuple[ClockRow, ...]] = field(default_factory=dict)
    large: dict[str, tuple[LargeRow, ...]] = field(default_factory=dict)
    product: tuple[ProductRow, ...] = ()
    ends: tuple[EndRun, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Of everything that was compared."""
        compared = [row.comparison for rows in self.clock.values() for row in rows]
        compared += [row.comparison for rows in self.large.values() for row in rows]
        compared += [row.comparison for row in self.product]
        checks = [check for end in self.ends for check in end.checks]
        return (*(item.status for item in self.order), *(item.status for item in compared),
                *(check.status for check in checks))  # fmt: skip

    @property
    def exit_code(self) -> int:
        """130 interrupted, 1 something fails, 3 something is inconclusive or nothing was compared, 0 otherwise."""
        if self.interrupted:
            return INTERRUPTED
        if "fails" in self.statuses:
            return FAILS
        return UNDECIDED if "inconclusive" in self.statuses or not self.statuses else HOLDS


def study(
    cases: Sequence[Case], size: Size, parts: Sequence[str] = PARTS, runs: Path | None = None,
    report: Report = lambda line: None, progress: Callable[[Any], Any] | None = None,
) -> Study:  # fmt: skip
    """The order on every case; clocks and large steps on the first; the ends on data of their own.

    `runs`: a folder for checkpoints of the simulations. Ctrl-C keeps the parts that are finished.
    """
    found: dict[str, Any] = {"clock": {}, "large": {}, "skipped": {}}
    makers: dict[str, Callable[[Simulate], None]] = {
        "order": lambda run: _orders(found, cases, size, run, report),
        "clock": lambda run: _clock(found, cases[0], size, run),
        "large": lambda run: _large(found, cases[0], size, run),
        "ends": lambda run: found.update(ends=end_study(size.end_steps, cases[0].seed, run)),
    }
    try:
        for part in parts:
            report(_ABOUT[part])
            makers[part](_Runner(runs, size, report, progress))
    except KeyboardInterrupt:
        found["interrupted"] = True
    return Study(size=size, seed=cases[0].seed, **found)


_ABOUT = {
    "order": "order: error against step size",
    "clock": "clock: the speed along the flow for every scheme",
    "large": "large: steps that are not small",
    "ends": "ends: where long runs end",
}


def chosen_parts(text: str | None) -> tuple[str, ...]:
    """The parts named in a comma-separated list, in their own order; all where it is None.

    >>> chosen_parts("ends,order")
    ('order', 'ends')
    """
    names = PARTS if text is None else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise InputError(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    return tuple(part for part in PARTS if part in names)


def _started(case: Case) -> Evidence:
    """Evidence with a starting point; raises where the case has none, such as labels out of reach."""
    evidence = Evidence(case)
    return evidence.replaced(start=evidence.start)


def _orders(found: dict[str, Any], cases: Sequence[Case], size: Size, run: Simulate, report: Report) -> None:
    results: dict[str, OrderResult] = {}
    for case in cases:
        report(f"  {case.name}")
        _on_case(found, "order", case, lambda evidence: order_study(evidence, size.order, run), results)
    found["order"] = tuple(results.values())


def _on_case(
    found: dict[str, Any], part: str, case: Case, make: Callable[[Evidence], Any], results: dict[str, Any]
) -> None:
    """Enter what is found on the case, or why there is nothing: no motion, or a simulation that stopped."""
    evidence = _started(case)
    try:
        results[case.name] = make(evidence)
    except CheckpointError:
        raise
    except (NotStatedError, ManifoldflowError) as error:
        found["skipped"][f"{part}, {case.name}"] = str(error)


def _clock(found: dict[str, Any], case: Case, size: Size, run: Simulate) -> None:
    _on_case(found, "clock", case, lambda evidence: clock_study(evidence, size.clock, run), found["clock"])


def _large(found: dict[str, Any], case: Case, size: Size, run: Simulate) -> None:
    _on_case(found, "large", case, lambda evidence: large_step_study(evidence, size.large, run), found["large"])
    found["product"] = product_study(size.large, case.seed)


class _Runner:
    """`noise.simulate` with a checkpoint for each simulation, in a folder of the case and the size."""

    def __init__(self, folder: Path | None, size: Size, report: Report, progress: Callable[[Any], Any] | None) -> None:
        self.folder, self.size, self.report, self.progress = folder, size, report, progress

    def __call__(
        self, evidence: Evidence, eta: float, noise: Any, n_steps: int, n_runs: int, stream: int, **options: Any
    ) -> SGDRun:
        path = None if self.folder is None else self.folder / f"{self._key(evidence)}-{stream}.npz"
        return simulate(
            evidence, eta, noise, n_steps, n_runs, stream, checkpoint=path, callback=self.progress, **options
        )

    def _key(self, evidence: Evidence) -> str:
        """Another problem or size has other files."""
        case = evidence.case
        plain = not case.own and case.output_weights is None
        units = () if plain else (case.own, case.output_weights)  # nothing, where there was nothing before
        problem = (case.data.X, case.data.y, case.activation, *units, case.width, case.seed)
        return content_hash(*problem, repr(self.size))[:12]
