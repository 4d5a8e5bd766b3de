"""Run statements on cases: one after another, or the activations side by side in processes."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import Any

from manifoldflow.errors import InputError
from manifoldflow.notices import warn_in_one_line
from manifoldflow.processes import one_blas_thread, worker_context

from . import facts
from .compiling import compile_part, parts
from .errors import WorkerError
from .evidence import Evidence
from .records import Case, CaseReport, Statement, Verdict
from .report.drawings import case_drawn, formulas
from .results import VerificationReport
from .statements import STATEMENTS
from .workers import end_with_driver

Progress = Callable[[str], None]
# Reports by number of the case, the statements' formulas if drawn, and whether Ctrl-C was pressed.
Outcome = tuple[dict[int, CaseReport], dict[str, str] | None, bool]
_SERIES = {
    "region": "S3",
    "noise": "S9",
    "minimum": "S2",
    "levels": "S10",
    "curvatures": "S11",
    "ranks": "S12",
    "speeds": "S14",
}  # series of the plots, and the statement that computes each
PRELOADED = (__name__, "verification.report.figures")  # in the process that workers are copies of
_WORKER: dict[str, SimpleQueue[str]] = {}  # in a worker process: the queue of its progress lines


def verify(
    cases: Iterable[Case],
    statements: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    processes: int = 0,
    draw: bool = False,
) -> VerificationReport:
    """Test statements on cases.

    Args:
        cases: the problems; the seed of each decides everything random about it.
        statements: ids such as "S3" (None: all).
        progress: called with a line of text whenever a verdict is there.
        processes: cases run in that many processes of one BLAS thread each; 0: one after another in this one.
        draw: draw what the page shows in those processes too; else it is drawn when the page is made.

    Returns:
        An immutable `VerificationReport`; after Ctrl-C one with `interrupted` set and what was finished.

    Raises:
        ManifoldflowError: a case cannot be set up. InputError: an unknown statement, or a width below 2.

    >>> import manifoldflow as mf
    >>> report = verify([Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)], ["S2", "S7"])
    >>> [(verdict.statement, verdict.status) for verdict in report.verdicts], report.exit_code
    ([('S2', 'holds'), ('S7', 'holds')], 0)
    """
    chosen, listed, begin = _chosen(statements), list(cases), time.perf_counter()
    names = tuple(statement.id for statement in chosen)
    run = _side_by_side if processes > 0 else _in_turn
    found, drawn, interrupted = run(listed, names, progress or _silent, processes, draw)
    reports = tuple(found[k] for k in sorted(found))
    return VerificationReport(reports, interrupted, time.perf_counter() - begin, drawn)


def check_case(case: Case, names: Sequence[str], progress: Progress) -> CaseReport:
    """All chosen statements on one case."""
    evidence = Evidence(case)
    if evidence.manifold.dimension < 1:
        sizes = f"{evidence.manifold.m} units on {evidence.manifold.n} samples"
        raise InputError(
            f"{sizes} of rank {evidence.manifold.coordinates.rank} have no room to move at f = y: width must be at "
            "least 2, and more where the samples are dependent."
        )
    progress(f"{case.name}: flow to stationarity")
    _ = evidence.flow
    verdicts = []
    for statement in _chosen(names):
        verdicts.append(statement.check(evidence))
        progress(f"{case.name}: {statement.id} {verdicts[-1].status}{_number(verdicts[-1])}")
    shown = [name for name, statement in _SERIES.items() if statement in names]
    found = facts.facts(evidence), tuple(verdicts), facts.series(evidence, shown), facts.certificates(evidence)
    return CaseReport(case.name, *found)


def _number(verdict: Verdict) -> str:
    check = verdict.decisive
    return f" ({check.measured:.3g} {check.relation} {check.bound:.3g})" if check else ""


def _silent(line: str) -> None:
    del line


def statement_ids(text: str | None) -> tuple[str, ...] | None:
    """Ids from comma-separated text; None for None, which means all.

    Raises `InputError` for an id that no statement has.

    >>> statement_ids("S3, s1")
    ('S3', 'S1')
    """
    if text is None:
        return None
    names = tuple(part.strip().upper() for part in text.split(","))
    _chosen(names)
    return names


def _chosen(names: Sequence[str] | None) -> tuple[Statement, ...]:
    known = {statement.id: statement for statement in STATEMENTS}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise InputError(f"There is no statement {', '.join(unknown)[:80]}; there are {', '.join(known)}.")
    return STATEMENTS if names is None else tuple(known[name] for name in known if name in names)


def _in_turn(cases: list[Case], names: tuple[str, ...], progress: Progress, processes: int, draw: bool) -> Outcome:
    del processes, draw
    found: dict[int, CaseReport] = {}
    try:
        for k, case in enumerate(cases):
            found[k] = check_case(case, names, progress)
    except KeyboardInterrupt:
        return found, None, True
    return found, None, False


def _side_by_side(cases: list[Case], names: tuple[str, ...], progress: Progress, processes: int, draw: bool) -> Outcome:
    """Cases in processes of their own."""
    context = worker_context(*PRELOADED)
    lines = context.SimpleQueue()
    with one_blas_thread():
        needed = parts(names)
        pool = ProcessPoolExecutor(min(processes, max(len(cases), len(needed))), context, _start_worker, (lines,))
        futures: list[Future[Any]] = [pool.submit(compile_part, part) for part in needed]
        try:
            _relay(futures, lines, progress)
            futures = [pool.submit(_check_in_worker, case, names, k, draw) for k, case in enumerate(cases)]
            drawn = [pool.submit(formulas, names)] if draw else []
            _relay(futures + drawn, lines, progress)
            found = {k: _result(future) for k, future in enumerate(futures)}
            return found, _result(drawn[0]) if draw else None, False
        except KeyboardInterrupt:
            return _finished(futures), None, True
        finally:
            _stop(pool, futures)


def _start_worker(lines: SimpleQueue[str]) -> None:
    """In a worker: where its progress goes. Ctrl-C, which the whole terminal gets, ends it without a word, and so does
    the end of the process that started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_driver()
    warn_in_one_line("manifoldflow")
    _WORKER["lines"] = lines


def _check_in_worker(case: Case, names: tuple[str, ...], number: int, draw: bool) -> CaseReport:
    found = check_case(case, names, _WORKER["lines"].put)
    return case_drawn(found, number) if draw else found


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "A process that tested a case died, perhaps for lack of memory. Use a smaller width, fewer samples, or "
            "--processes 1."
        ) from error


def _stop(pool: ProcessPoolExecutor, futures: list[Future[Any]]) -> None:
    """End the pool; what is still running after a refusal or Ctrl-C is not waited for."""
    unfinished = not all(future.done() for future in futures)
    pool.shutdown(wait=not unfinished, cancel_futures=True)
    for child in multiprocessing.active_children() if unfinished else ():
        child.terminate()


def _relay(futures: list[Future[Any]], lines: SimpleQueue[str], progress: Progress) -> None:
    """Pass lines of text on until every case is done, or one is refused, whose error is then raised."""
    while not all(future.done() for future in futures) and not any(map(_refused, futures)):
        time.sleep(0.02)
        _drain(lines, progress)
    _drain(lines, progress)
    for future in filter(_refused, futures):
        _result(future)


def _refused(future: Future[Any]) -> bool:
    return future.done() and future.exception() is not None


def _drain(lines: SimpleQueue[str], progress: Progress) -> None:
    while not lines.empty():
        progress(lines.get())


def _finished(futures: list[Future[Any]]) -> dict[int, CaseReport]:
    good = {k: f for k, f in enumerate(futures) if f.done() and not f.cancelled() and f.exception() is None}
    return {k: future.result() for k, future in good.items() if isinstance(future.result(), CaseReport)}
