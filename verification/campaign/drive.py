"""The driver: tasks to an executor, rows into the database; it alone writes, and every result at once."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from manifoldflow import __version__
from manifoldflow.errors import InputError
from manifoldflow.validation import instance, positive_integer
from verification.compiling import PARTS, compile_part
from verification.errors import WorkerError

from .database import Database
from .description import Campaign
from .executors import Pool, pool_of
from .measures import unit_of
from .standing import Standing
from .task import Task, shared
from .work import compile_unit, failure, installed_version, perform

Job = tuple[Task, ...]  # tasks that share a case
_LOOK = 0.5  # seconds between looks at the clock where nothing finishes
_GONE = (
    "The executor gave its work up: its scheduler is gone, perhaps. What was finished is kept; run the same again to "
    "do the rest."
)


def run(
    campaign: Campaign,
    database: str | Path,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    processes: int = 2,
    retry_failed: bool = False,
    attempts: int = 3,
    window: int | None = None,
    progress: Callable[[Standing], Any] | None = None,
) -> Standing:
    """Do what of a campaign is not in its database yet.

    Args:
        campaign: what is asked.
        database: the SQLite file, made where there is none. Killed at any moment, it has everything that was finished,
            and the same call does the rest.
        executor: any `concurrent.futures.Executor`, which is left as it is, or a function that makes one, which is
            called again where a worker's death breaks it. None: processes of this machine.
        processes: how many of them; 0: everything in this process.
        retry_failed: do tasks again that are kept as failures.
        attempts: how often a task may kill its worker before it is kept as a failure.
        window: jobs to hand out at a time.
        progress: called with a `Standing` whenever something has finished, and every half second.

    Returns:
        How far it is. Ctrl-C gives one with `interrupted` set.

    Raises:
        InputError: an argument is outside its domain.
        DatabaseError: the database cannot be used, or its disk is full.
        WorkerError: the workers are gone, or have another version of this package.

    >>> import tempfile
    >>> from verification.campaign import Call, Campaign, run
    >>> campaign = Campaign(calls=[Call("verification.campaign.examples:square", {"x": x}) for x in (1, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = run(campaign, Path(folder) / "a.sqlite", processes=0)
    ...     again = run(campaign, Path(folder) / "a.sqlite", processes=0)
    >>> first.done, again.done, again.rate
    (2, 2, 0.0)
    """
    _require(campaign, executor, processes, attempts, window)
    with Database(database) as opened:
        opened.ask(campaign.tasks)
        driver = _Driver(opened, campaign.tasks, retry_failed, attempts, progress or _silent)
        if not driver.waiting:
            return driver.standing()
        try:
            with pool_of(executor, min(processes, len(driver.waiting)), window) as pool:
                driver.report()
                if executor is not None or processes > 0:
                    _prepare(pool, campaign, attempts)
                driver.work(pool)
        except KeyboardInterrupt:
            return driver.recounted(interrupted=True)
        return driver.recounted()


def _require(campaign: Any, executor: Any, processes: Any, attempts: Any, window: Any) -> None:
    """Arguments within their domain; `InputError` otherwise."""
    instance("campaign", campaign, Campaign)
    if executor is not None and not isinstance(executor, Executor) and not callable(executor):
        raise InputError(f"executor must be an Executor, or a function that makes one; got {str(executor)[:60]!r}.")
    for name, value, least in (("processes", processes, 0), ("attempts", attempts, 1), ("window", window or 1, 1)):
        if value != least:
            positive_integer(name, value)


def _silent(standing: Standing) -> None:
    del standing


def _prepare(pool: Pool, campaign: Campaign, attempts: int) -> None:
    """Have everything compiled once, where workers would each compile all of it; see that they are of this version."""
    cases = [task for task in campaign.tasks if task.kind != "call"]
    jobs: list[tuple[Any, ...]] = [(compile_part, part) for part in PARTS if cases]
    jobs += [(compile_unit, unit) for unit in dict.fromkeys(map(unit_of, cases)) if unit is not None]
    version = _prepared(pool, jobs, attempts)
    if version != __version__:
        raise WorkerError(f"A worker has version {version} of manifoldflow, this is {__version__}. Install one.")


def _prepared(pool: Pool, jobs: Sequence[tuple[Any, ...]], attempts: int) -> str:
    """The workers' version, once the jobs are done; where a worker dies meanwhile, again."""
    try:
        for future in [pool.submit(*job) for job in jobs]:
            future.result()
        return str(pool.submit(installed_version).result())
    except CancelledError as error:
        raise WorkerError(_GONE) from error
    except (BrokenExecutor, ImportError) as error:
        if isinstance(error, BrokenExecutor) and attempts > 1:
            pool.rebuild()
            return _prepared(pool, jobs, attempts - 1)
        raise WorkerError(
            f"The workers die, or cannot load manifoldflow ({type(error).__name__}: {error}). Install the same version "
            "there, and see that there is memory."
        ) from error


class _Driver:
    """Hands out jobs and keeps what comes back.

    When a worker's death breaks the executor, nobody knows whose fault it was: the jobs in flight become suspects, and
    are tried again one at a time. Only one that breaks it alone is counted against, so a task that kills its worker
    takes none with it.
    """

    def __init__(
        self, database: Database, tasks: Sequence[Task], retry_failed: bool, attempts: int,
        progress: Callable[[Standing], Any],
    ) -> None:  # fmt: skip
        self.database, self._attempts, self._progress = database, attempts, progress
        self._keys = {task.key for task in tasks}
        done, failed = (database.finished(state) & self._keys for state in ("done", "failed"))
        self._done, self._failed = done, set() if retry_failed else failed
        jobs = shared(task for task in tasks if task.key not in self._done | self._failed)
        start = secrets.randbelow(len(jobs)) if jobs else 0  # drivers on one database begin at different places
        self.waiting = deque(jobs[start:] + jobs[:start])
        self._suspects: deque[Job] = deque()
        self._deaths: Counter[str] = Counter()
        self._pending: dict[Future[Any], Job] = {}
        self._alone = False  # is a suspect under way, which nothing may join?
        self._begun, self._gained = time.monotonic(), 0

    def standing(self) -> Standing:
        """How far it is, as this driver knows."""
        seconds = time.monotonic() - self._begun
        counts = (len(self._keys), len(self._done), len(self._failed))
        return Standing(*counts, self._gained / seconds if self._gained else 0.0, seconds)

    def recounted(self, interrupted: bool = False) -> Standing:
        """How far it is, as the database says."""
        done, failed = (len(self.database.finished(state) & self._keys) for state in ("done", "failed"))
        return replace(self.standing(), done=done, failed=failed, interrupted=interrupted)

    def report(self) -> None:
        """Tell how far it is."""
        self._progress(self.standing())

    def work(self, pool: Pool) -> None:
        """Until nothing is left."""
        try:
            while self._hand_out(pool):
                self._take_in(pool)
                self.report()
        except KeyboardInterrupt:
            self._keep([row for future in self._pending if _came_back(future) for row in future.result()])
            raise
        finally:
            for future in self._pending:
                future.cancel()

    def _hand_out(self, pool: Pool) -> bool:
        """Fill the window, or give one suspect alone; False where nothing is left and nothing is under way."""
        if self._suspects and not self._pending:
            self._alone = self._submit(pool, self._suspects)
        while self.waiting and not self._suspects and not self._alone and len(self._pending) < pool.window:
            if not self._submit(pool, self.waiting):
                break
        return bool(self._pending or self.waiting or self._suspects)

    def _submit(self, pool: Pool, queue: deque[Job]) -> bool:
        """Submit the first job of a queue without what another driver has done; False where the pool is broken."""
        job = tuple(task for task in queue[0] if not self._done_elsewhere(task))
        if job:
            try:
                self._pending[pool.submit(perform, job)] = job
            except BrokenExecutor:
                if not self._pending:
                    pool.rebuild()
                return False
        queue.popleft()
        return True

    def _done_elsewhere(self, task: Task) -> bool:
        if not self.database.is_done(task.key):
            return False
        self._done.add(task.key)
        return True

    def _take_in(self, pool: Pool) -> None:
        """Keep what has finished, in one transaction; then see to what went wrong with the workers."""
        alone, jobs = len(self._pending) == 1, self._finished()
        self._keep([row for future in jobs if _error(future) is None for row in future.result()])
        self._forget(jobs)
        broken = [job for future, job in jobs.items() if isinstance(_error(future), BrokenExecutor)]
        for future, job in jobs.items():
            error = _error(future)
            if error is not None and not isinstance(error, BrokenExecutor):
                self._count_against(job, error, self.waiting)
        if broken:
            pool.rebuild()
            if alone:
                self._count_against(broken[0], _error(next(iter(jobs))), self._suspects)
            else:
                self._suspects.extend(broken)

    def _finished(self) -> dict[Future[Any], Job]:
        """What has finished within a moment; everything, where the executor broke, since that ends all of it."""
        found = wait(self._pending, timeout=_LOOK, return_when=FIRST_COMPLETED).done
        if any(isinstance(_error(future), BrokenExecutor) for future in found):
            found = wait(self._pending).done
        return {future: self._pending[future] for future in found}

    def _forget(self, futures: Iterable[Future[Any]]) -> None:
        """After their results are kept: until then Ctrl-C would find them pending, and keep them."""
        for future in futures:
            del self._pending[future]
        self._alone = self._alone and bool(self._pending)

    def _count_against(self, job: Job, error: BaseException | None, queue: deque[Job]) -> None:
        """A job whose worker died, or whose result did not come back: again, unless it has often done so."""
        if isinstance(error, CancelledError):
            raise WorkerError(_GONE)
        self._deaths[job[0].key] += 1
        deaths = self._deaths[job[0].key]
        if deaths < self._attempts:
            queue.append(job)
            return
        reason = f"{error}; tried {deaths} times"
        self._keep([failure(task, type(error).__name__, reason, 0.0, deaths) for task in job])

    def _keep(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.database.keep(rows)
        for row in rows:
            kept, other = (self._done, self._failed) if row["state"] == "done" else (self._failed, self._done)
            kept.add(row["key"])
            other.discard(row["key"])
            self._gained += 1


def _error(future: Future[Any]) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _came_back(future: Future[Any]) -> bool:
    return future.done() and _error(future) is None
