"""Where tasks run: this process, a pool of processes, a Dask cluster, or any `concurrent.futures.Executor`."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from manifoldflow.notices import warn_in_one_line
from verification.errors import WorkerError
from verification.workers import end_with_driver

WINDOW = 256  # jobs that a cluster is given at a time
_PER_PROCESS = 4  # the same for each process of a pool: those in flight when one dies are tried again one by one


class InThisProcess(Executor):
    """Runs what is submitted at once, here."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result of the call, as a future that is done."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (handed to who asks for the result, as by any executor)
            future.set_exception(error)
        return future


class Pool:
    """An executor that is made again when it breaks.

    Args:
        make: gives an executor; called again after one is broken. `end`: how to end one that may still be at work.
        window: how many jobs it is given at a time.
    """

    def __init__(self, make: Callable[[], Executor], window: int, end: Callable[[Executor], None]) -> None:
        self._make, self._end, self.window = make, end, window
        self._executor = make()
        self.submit = self._executor.submit

    def rebuild(self) -> None:
        """A new executor in place of the broken one."""
        self._end(self._executor)
        self._executor = self._make()
        self.submit = self._executor.submit

    def end(self) -> None:
        """End the executor, and what it is doing."""
        self._end(self._executor)


@contextmanager
def pool_of(
    executor: Executor | Callable[[], Executor] | None, processes: int, window: int | None
) -> Iterator[Pool]:
    """The executor that was asked for; ended at the exit, unless it was made elsewhere."""
    if executor is None:
        found = Pool(InThisProcess, 1, _leave) if processes == 0 else _processes(processes, window)
    elif isinstance(executor, Executor):
        found = Pool(_once(executor), window or WINDOW, _leave)
    else:
        found = Pool(executor, window or WINDOW, _shut_down)
    try:
        yield found
    finally:
        found.end()


def _leave(executor: Executor) -> None:
    """It was made elsewhere, and may be used there again."""
    del executor


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=False)  # what it had not begun is cancelled by then; loky does not take cancel_futures


def _once(executor: Executor) -> Callable[[], Executor]:
    """Gives the executor the first time; a second would be the same broken one."""
    left = [executor]

    def make() -> Executor:
        if not left:
            raise WorkerError(
                "The executor broke: a worker died, perhaps for lack of memory. What was finished is kept. Pass a "
                "function that makes the executor, so that it can be made again, or run the same again."
            )
        return left.pop()

    return make


def _processes(count: int, window: int | None) -> Pool:
    """Spawned processes; forked ones would not survive a Numba kernel that has started threads."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")

    def make() -> Executor:
        return ProcessPoolExecutor(count, context, _start_worker)

    def end(executor: Executor) -> None:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.kill()
            child.join()

    return Pool(make, window or _PER_PROCESS * count, end)


def _start_worker() -> None:
    """In a worker: Ctrl-C, which the whole terminal gets, is for the driver; without a driver the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_driver()
    warn_in_one_line("manifoldflow")


def imported_distributed() -> Any:
    """The package `distributed`; raises `WorkerError` where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise WorkerError("Clusters need Dask: pip install 'manifoldflow[cluster]' (or distributed).") from error
    return distributed


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """An executor on the cluster of a Dask scheduler.

    Raises `WorkerError` where there is no scheduler at the address, or it has no workers.
    """
    distributed = imported_distributed()
    # They log tracebacks when the scheduler dies.
    with _quiet("distributed", "distributed.client", "tornado.application"):
        try:
            client = distributed.Client(address, timeout="20s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise WorkerError(
                f"No Dask scheduler answers at {address!r} ({error}). Start one with manifoldflow campaign cluster, "
                "and give the address that it prints, such as tcp://host:8786."
            ) from error
        try:
            _require_workers(client, address)
            yield client.get_executor()
        finally:
            client.close(timeout=5)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """These loggers say nothing but what is critical."""
    before = [(logger, logger.level) for logger in map(logging.getLogger, names)]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def _require_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=30)
    except TimeoutError as error:
        raise WorkerError(
            f"The scheduler at {address} has no workers. Start some: dask worker {address} --nthreads 1."
        ) from error


@contextmanager
def cluster(processes: int, host: str, port: int) -> Iterator[str]:
    """A Dask scheduler and worker processes of one thread each on this machine; gives the scheduler's address.

    Raises `WorkerError` where Dask is not installed or the port is taken.
    """
    distributed = imported_distributed()
    try:
        found = distributed.LocalCluster(
            n_workers=processes, threads_per_worker=1, processes=True, host=host, scheduler_port=port,
            dashboard_address=None, silence_logs=40,
        )  # fmt: skip
    except (OSError, RuntimeError) as error:
        said = f"A scheduler on {host}:{port} cannot be started ({error}). Name another --host or --port."
        raise WorkerError(said) from error
    with found:
        yield str(found.scheduler_address)
